//! Where the API server is and who asks it, by the files and variables that kubectl goes by.
//!
//! Source: <https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/>
#![expect(clippy::disallowed_methods, reason = "this is the edge to the kubeconfig")]

use super::trouble::credentials;
use super::{Api, KubernetesError};
use crate::model::Arn;
use http::{HeaderValue, Uri};
use kube::Config;
use kube::config::{ExecInteractiveMode, KubeConfigOptions, Kubeconfig, KubeconfigError};
use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a connection may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// How long a plugin may take that gets credentials; some open a browser.
const PLUGIN_LIMIT: Duration = Duration::from_secs(180);
/// Who asks, in the API server's audit log.
const USER_AGENT: &str = concat!("bucketwright/", env!("CARGO_PKG_VERSION"));

/// What the command line says of the way.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Way {
    /// The configuration file, in place of those that the environment names.
    pub kubeconfig: Option<PathBuf>,
    /// The context, in place of the current one.
    pub context: Option<String>,
}

impl Api {
    /// Finds the API server and gets credentials for it; nothing is asked yet. Plugins such as `aws eks get-token` run here.
    pub async fn connect(way: &Way, environment: &BTreeMap<String, String>) -> Result<Self, KubernetesError> {
        let (mut config, context) = config(way, environment).await?;
        let server = shown(&config.cluster_url);
        let cluster = context.as_deref().and_then(|name| name.parse::<Arn>().ok()).filter(|arn| arn.service() == "eks");
        let place = match context {
            Some(context) => format!("context {context} at {server}"),
            None => format!("the cluster that this pod is in, at {server}"),
        };
        config.connect_timeout = Some(CONNECT_LIMIT);
        config.headers.push((http::header::USER_AGENT, HeaderValue::from_static(USER_AGENT)));
        if config.proxy_url.is_some() {
            if !is_direct(&config.cluster_url, environment) {
                return Err(KubernetesError::Proxy { place });
            }
            config.proxy_url = None;
        }
        let mut plugin = "the plugin".to_owned();
        if let Some(exec) = &mut config.auth_info.exec {
            plugin = exec.command.clone().unwrap_or(plugin);
            // As kubectl does: whoever cannot be asked is not asked.
            let nobody_there = !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal();
            if nobody_there && exec.interactive_mode != Some(ExecInteractiveMode::Always) {
                exec.interactive_mode = Some(ExecInteractiveMode::Never);
            }
        }
        let namespace = config.default_namespace.clone();
        // The plugin runs inside of this, and blocks.
        let made = tokio::task::spawn_blocking(move || kube::Client::try_from(config));
        let client = match tokio::time::timeout(PLUGIN_LIMIT, made).await {
            Err(_) => {
                let why = format!("`{plugin}` did not end within {} s", PLUGIN_LIMIT.as_secs());
                return Err(KubernetesError::Credentials(why));
            }
            Ok(Err(_)) => return Err(KubernetesError::Credentials(format!("`{plugin}` ended without an answer"))),
            Ok(Ok(Err(kube::Error::Auth(error)))) => {
                return Err(KubernetesError::Credentials(credentials(&error, &plugin)));
            }
            Ok(Ok(Err(error))) => return Err(KubernetesError::Config(config_words(&error))),
            Ok(Ok(Ok(client))) => client,
        };
        Ok(Self { client, place, cluster, namespace })
    }
}

/// The configuration, and the name of its context; none in a pod.
async fn config(
    way: &Way,
    environment: &BTreeMap<String, String>,
) -> Result<(Config, Option<String>), KubernetesError> {
    let Some(found) = read(way, environment)? else {
        let in_pod = environment.get("KUBERNETES_SERVICE_HOST").is_some_and(|host| !host.is_empty());
        if !in_pod || way.context.is_some() {
            return Err(KubernetesError::NoConfig);
        }
        let config = Config::incluster_env().map_err(|error| KubernetesError::Config(error.to_string()))?;
        return Ok((config, None));
    };
    let known: Vec<String> = found.contexts.iter().map(|context| context.name.clone()).collect();
    let name = way.context.clone().or_else(|| found.current_context.clone()).filter(|name| !name.is_empty());
    let name = match name {
        Some(name) if known.contains(&name) => name,
        name => return Err(KubernetesError::NoContext { name, known }),
    };
    let options = KubeConfigOptions { context: Some(name.clone()), ..KubeConfigOptions::default() };
    let config = Config::from_custom_kubeconfig(found, &options).await.map_err(|error| mistake(error, None))?;
    Ok((config, Some(name)))
}

/// The files that are there, merged as kubectl does; none if there are none.
fn read(way: &Way, environment: &BTreeMap<String, String>) -> Result<Option<Kubeconfig>, KubernetesError> {
    let one = |path: &Path| Kubeconfig::read_from(path).map_err(|error| mistake(error, Some(path)));
    if let Some(path) = &way.kubeconfig {
        return one(path).map(Some);
    }
    let variable = |name: &str| environment.get(name).filter(|value| !value.is_empty());
    let paths: Vec<PathBuf> = match (variable("KUBECONFIG"), variable("HOME")) {
        (Some(list), _) => std::env::split_paths(list).filter(|path| !path.as_os_str().is_empty()).collect(),
        (None, Some(home)) => vec![Path::new(home).join(".kube").join("config")],
        (None, None) => Vec::new(),
    };
    let mut merged: Option<Kubeconfig> = None;
    for path in paths.iter().filter(|path| path.exists()) {
        let next = one(path)?;
        merged = Some(match merged {
            Some(so_far) => so_far.merge(next).map_err(|error| mistake(error, Some(path)))?,
            None => next,
        });
    }
    Ok(merged)
}

/// What is wrong with the configuration, without what stands in it: that may be a token.
fn mistake(error: KubeconfigError, path: Option<&Path>) -> KubernetesError {
    let named = |words: &str| match path {
        Some(path) => KubernetesError::Config(format!("`{}` {words}", path.display())),
        None => KubernetesError::Config(words.to_owned()),
    };
    match error {
        KubeconfigError::ReadConfig(source, path) => KubernetesError::Unreadable { path, source },
        KubeconfigError::Parse(_) => named("is no kubeconfig: its YAML cannot be read"),
        KubeconfigError::LoadClusterOfContext(name) => {
            named(&format!("the cluster `{name}` of its context is not in it"))
        }
        KubeconfigError::MissingClusterUrl => named("its cluster has no `server`"),
        error => named(&error.to_string()),
    }
}

/// What is wrong with certificates and keys.
fn config_words(error: &kube::Error) -> String {
    match error {
        kube::Error::RustlsTls(error) => format!("its certificates cannot be used: {error}"),
        kube::Error::InferKubeconfig(error) => error.to_string(),
        _ => "no client can be made of it".to_owned(),
    }
}

/// The server without what may stand before its host.
fn shown(server: &Uri) -> String {
    let host = server.host().unwrap_or_default();
    let port = server.port_u16().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{host}{port}", server.scheme_str().unwrap_or("https"))
}

/// True where no proxy is meant: this machine, and what NO_PROXY names.
fn is_direct(server: &Uri, environment: &BTreeMap<String, String>) -> bool {
    let host = server.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
    if host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback()) {
        return true;
    }
    let named = |list: &String| {
        list.split(',').map(|one| one.trim().to_ascii_lowercase()).filter(|one| !one.is_empty()).any(|one| {
            let name = one.trim_start_matches('*').trim_start_matches('.');
            one == "*" || host == name || host.strip_suffix(name).is_some_and(|before| before.ends_with('.'))
        })
    };
    ["NO_PROXY", "no_proxy"].iter().filter_map(|name| environment.get(*name)).any(named)
}

#[cfg(test)]
mod tests {
    use super::{Api, KubernetesError, Way, is_direct, shown};
    use std::collections::BTreeMap;
    use std::path::Path;

    const FILE: &str = "\
apiVersion: v1
kind: Config
current-context: lab
clusters:
- { name: c, cluster: { server: 'https://abc.gr7.us-east-1.eks.amazonaws.com' } }
contexts:
- { name: lab, context: { cluster: c, user: u, namespace: ml } }
users:
- { name: u, user: { token: hush-hush } }
";

    fn variables(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[tokio::test]
    async fn files_are_found_as_kubectl_finds_them() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let home = dir.path().display().to_string();
        let empty = variables(&[("HOME", &home)]);
        let way = Way::default();
        assert_eq!(Api::connect(&way, &empty).await.unwrap_err().kind(), "no-kubeconfig");
        let other = write("other", &FILE.replace("lab", "second").replace("name: c,", "name: d,"));
        write(".kube/config", FILE);
        let api = Api::connect(&way, &empty).await.unwrap();
        assert_eq!(api.place(), "context lab at https://abc.gr7.us-east-1.eks.amazonaws.com");
        assert_eq!((api.namespace(), api.account()), ("ml", None));
        assert!(!format!("{api:?}").contains("hush"));
        let both = variables(&[("HOME", &home), ("KUBECONFIG", &format!("/not/there:{other}:{home}/.kube/config"))]);
        assert!(Api::connect(&way, &both).await.unwrap().place().starts_with("context second at"));
        let named = Way { context: Some("lab".to_owned()), ..Way::default() };
        assert!(Api::connect(&named, &both).await.unwrap().place().starts_with("context lab at"));
        let of_eks = write("eks", &FILE.replace("lab", "'arn:aws:eks:us-east-1:245966534215:cluster/lab'"));
        let named_by_arn = Way { kubeconfig: Some(Path::new(&of_eks).to_owned()), ..Way::default() };
        assert_eq!(Api::connect(&named_by_arn, &both).await.unwrap().account(), Some("245966534215"));
        let missing = Way { context: Some("prod".to_owned()), ..Way::default() };
        let error = Api::connect(&missing, &both).await.unwrap_err();
        assert_eq!(error.to_string(), "the kubeconfig has no context `prod`: it has second, lab");
        let broken = write("broken", "users: [hush-hush");
        let file = Way { kubeconfig: Some(Path::new(&broken).to_owned()), ..Way::default() };
        let error = Api::connect(&file, &both).await.unwrap_err();
        assert!(matches!(&error, KubernetesError::Config(why) if !why.contains("hush")), "{error}");
    }

    #[tokio::test]
    async fn plugins_are_run_and_what_they_say_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config");
        let plugin = |command: &str, words: &str| {
            let exec = format!(
                "exec: {{ apiVersion: client.authentication.k8s.io/v1beta1, command: {command}, args: ['-c', '{words}'] }}"
            );
            std::fs::write(&path, FILE.replace("token: hush-hush", &exec)).unwrap();
        };
        let way = Way { kubeconfig: Some(path.clone()), ..Way::default() };
        let none = BTreeMap::new();
        plugin("sh", "echo token-on-stdout; echo expired >&2; exit 3");
        let error = Api::connect(&way, &none).await.unwrap_err();
        assert_eq!(error.kind(), "no-credentials");
        assert_eq!(error.to_string(), "no credentials for the API server: `sh` ended with exit status: 3: expired");
        plugin("no-such-program-here", "");
        let error = Api::connect(&way, &none).await.unwrap_err();
        assert!(error.to_string().contains("cannot run `no-such-program-here`"), "{error}");
    }

    #[test]
    fn no_proxy_names_hosts_and_domains() {
        let direct = |server: &str, list: &str| is_direct(&server.parse().unwrap(), &variables(&[("NO_PROXY", list)]));
        for (server, list, wanted) in [
            ("https://a.eks.amazonaws.com", "", false),
            ("https://a.eks.amazonaws.com", "x, .eks.amazonaws.com", true),
            ("https://a.eks.amazonaws.com", "eks.amazonaws.com", true),
            ("https://a.eks.amazonaws.com", "ks.amazonaws.com", false),
            ("https://10.0.0.1:6443", "*", true),
            ("http://127.0.0.1:8001", "", true),
        ] {
            assert_eq!(direct(server, list), wanted, "{server} {list}");
        }
        assert_eq!(shown(&"https://user:pw@host:6443/x".parse().unwrap()), "https://host:6443");
    }
}
