//! Why the API server does not do what it is asked, in words that say what to do. No credential gets into them: what plugins
//! print on their standard output is left out, and so is what a configuration file holds.

use super::Resource;
use kube::client::AuthError;
use kube::core::Status;
use std::error::Error;
use std::path::PathBuf;

/// Why something could not be asked or done.
#[derive(Debug, thiserror::Error)]
pub enum KubernetesError {
    /// Nothing says where an API server is.
    #[error("no Kubernetes API server is known here: there is no kubeconfig")]
    NoConfig,
    /// The configuration is of no use.
    #[error("the kubeconfig is of no use: {0}")]
    Config(String),
    /// A file of it cannot be read.
    #[error("cannot read the kubeconfig `{path}`")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The configuration has no such context, or none is chosen.
    #[error("{}", no_context(.name.as_deref(), .known))]
    NoContext {
        /// The context that was named, or that is the current one.
        name: Option<String>,
        /// Those that there are.
        known: Vec<String>,
    },
    /// The way there leads through a proxy.
    #[error("the way to {place} leads through a proxy, which is not supported for Kubernetes")]
    Proxy {
        /// The API server.
        place: String,
    },
    /// Nobody answers.
    #[error("{place} cannot be reached: {why}")]
    Unreachable {
        /// The API server.
        place: String,
        /// The cause.
        why: String,
    },
    /// Nothing came within the time.
    #[error("no answer within {seconds} s: {what}")]
    Slow {
        /// What was asked.
        what: String,
        /// How long was waited.
        seconds: u64,
    },
    /// The answer ended early.
    #[error("the connection broke: {what}: {why}")]
    Broken {
        /// What was asked.
        what: String,
        /// The cause.
        why: String,
    },
    /// There are no credentials that the API server takes.
    #[error("no credentials for the API server: {0}")]
    Credentials(String),
    /// The caller may not.
    #[error("may not {}", .0.words())]
    Forbidden(Box<Forbidden>),
    /// It is not there.
    #[error("{what}: there is no such thing")]
    NotFound {
        /// What was asked.
        what: String,
    },
    /// The API server says no for another cause.
    #[error("{what}: {why}")]
    Other {
        /// What was asked.
        what: String,
        /// Its words.
        why: String,
    },
}

/// What may not be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forbidden {
    /// `list`, `create`, ...
    pub verb: &'static str,
    /// `pods`, `pods/log`, ...
    pub resource: String,
    /// The API group; empty for the core.
    pub group: &'static str,
    /// The namespace; none for all of them, or for what is in none.
    pub namespace: Option<String>,
    /// The API server's words.
    pub message: String,
}

impl Forbidden {
    fn words(&self) -> String {
        let place = match &self.namespace {
            Some(namespace) => format!("in namespace {namespace}"),
            None => "in the whole cluster".to_owned(),
        };
        format!("{} {} {place}: {}", self.verb, self.resource, self.message)
    }

    /// The rule that would allow it.
    pub fn rule(&self) -> String {
        let kind = if self.namespace.is_some() { "Role" } else { "ClusterRole" };
        format!(
            "a {kind} needs the rule `apiGroups: [\"{}\"], resources: [\"{}\"], verbs: [\"{}\"]`, bound to you",
            self.group, self.resource, self.verb
        )
    }
}

impl KubernetesError {
    /// The name in the JSON output.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::NoConfig => "no-kubeconfig",
            Self::Config(_) | Self::Unreadable { .. } | Self::NoContext { .. } => "kubeconfig",
            Self::Proxy { .. } => "proxy",
            Self::Unreachable { .. } | Self::Slow { .. } | Self::Broken { .. } => "unreachable",
            Self::Credentials(_) => "no-credentials",
            Self::Forbidden(_) => "denied",
            Self::NotFound { .. } => "not-found",
            Self::Other { .. } => "kubernetes",
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        let words = match self {
            Self::NoConfig => {
                "name the file with `--kubeconfig`, set KUBECONFIG, or write ~/.kube/config with \
                 `aws eks update-kubeconfig --name CLUSTER`"
            }
            Self::Config(_) | Self::Unreadable { .. } => "`kubectl config view` reads the same files",
            Self::NoContext { .. } => "choose one with `--kube-context`; `kubectl config get-contexts` lists them",
            Self::Proxy { .. } => "let NO_PROXY name the API server if it can be reached directly",
            Self::Unreachable { .. } | Self::Slow { .. } | Self::Broken { .. } => {
                "check the network: private endpoints of EKS take the VPC or its VPN; `kubectl version` asks the same server"
            }
            Self::Credentials(_) => {
                "sign in again; for EKS the account's profile must be valid (`aws sts get-caller-identity`), and the \
                 identity must have an access entry in the cluster"
            }
            Self::Forbidden(forbidden) => return Some(forbidden.rule()),
            Self::NotFound { .. } | Self::Other { .. } => return None,
        };
        Some(words.to_owned())
    }

    /// True for what may go well the next time.
    pub const fn may_pass(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Slow { .. } | Self::Broken { .. })
    }

    /// What the client says of a request that got no answer.
    pub(super) fn of_client(error: &kube::Error, place: &str) -> Self {
        if let kube::Error::Auth(error) = error {
            return Self::Credentials(credentials(error, "the plugin"));
        }
        if let kube::Error::Service(cause) = error
            && let Some(error) = cause.downcast_ref::<AuthError>()
        {
            return Self::Credentials(credentials(error, "the plugin"));
        }
        Self::Unreachable { place: place.to_owned(), why: innermost(error) }
    }
}

fn no_context(name: Option<&str>, known: &[String]) -> String {
    let known = if known.is_empty() { "it has none".to_owned() } else { format!("it has {}", known.join(", ")) };
    match name {
        Some(name) => format!("the kubeconfig has no context `{name}`: {known}"),
        None => format!("the kubeconfig names no current context: {known}"),
    }
}

/// The cause of causes, which is what the system or the certificate says.
fn innermost(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    let text = cause.to_string();
    text.split(" (os error ").next().unwrap_or(&text).to_owned()
}

/// Why there are no credentials, without anything that could be one.
pub(super) fn credentials(error: &AuthError, plugin: &str) -> String {
    match error {
        AuthError::AuthExecStart(source) => format!("cannot run `{plugin}`: {}", innermost(source)),
        AuthError::AuthExecRun { out, .. } => {
            let errors = String::from_utf8_lossy(&out.stderr);
            let last = errors.lines().map(str::trim).rfind(|line| !line.is_empty());
            let last = last.map(|line| format!(": {}", line.chars().take(300).collect::<String>()));
            format!("`{plugin}` ended with {}{}", out.status, last.unwrap_or_default())
        }
        AuthError::ReadTokenFile(source, path) => format!("cannot read `{}`: {}", path.display(), innermost(source)),
        AuthError::MissingCommand => "the kubeconfig names a plugin without its command".to_owned(),
        _ => format!("`{plugin}` gave none that can be used"),
    }
}

/// What is asked, for errors.
#[derive(Debug, Clone)]
pub(super) struct Call<'call> {
    verb: &'static str,
    resource: Resource,
    logs: bool,
    namespace: Option<&'call str>,
    name: Option<&'call str>,
}

impl<'call> Call<'call> {
    pub(super) const fn new(
        verb: &'static str,
        resource: Resource,
        namespace: Option<&'call str>,
        name: Option<&'call str>,
    ) -> Self {
        Self { verb, resource, logs: false, namespace, name }
    }

    pub(super) const fn of_logs(mut self) -> Self {
        self.logs = true;
        self
    }

    fn kind(&self) -> String {
        let logs = if self.logs { "/log" } else { "" };
        format!("{}{logs}", self.resource.plural())
    }

    /// `create jobs ml/bucketwright-verify`
    pub(super) fn what(&self) -> String {
        let place = [self.namespace, self.name].into_iter().flatten().collect::<Vec<_>>().join("/");
        let blank = if place.is_empty() { "" } else { " " };
        format!("{} {}{blank}{place}", self.verb, self.kind())
    }

    /// What the API server's refusal means.
    pub(super) fn refused(&self, status: Status) -> KubernetesError {
        match status.code {
            401 => KubernetesError::Credentials("it does not know those that the kubeconfig gives".to_owned()),
            403 => KubernetesError::Forbidden(Box::new(Forbidden {
                verb: self.verb,
                resource: self.kind(),
                group: self.resource.group(),
                namespace: self.namespace.map(str::to_owned),
                message: status.message,
            })),
            404 if status.message.is_empty() => KubernetesError::NotFound { what: self.what() },
            _ => KubernetesError::Other { what: self.what(), why: status.message },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Call, KubernetesError, credentials};
    use crate::kubernetes::Resource;
    use kube::client::AuthError;
    use kube::core::Status;
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::{ExitStatus, Output};

    #[test]
    fn a_refusal_names_the_rule_that_is_missing() {
        let call = Call::new("get", Resource::Pods, Some("ml"), Some("p-0")).of_logs();
        let status = Status::failure("pods \"p-0\" is forbidden", "Forbidden").with_code(403);
        let error = call.refused(status);
        assert_eq!(error.to_string(), "may not get pods/log in namespace ml: pods \"p-0\" is forbidden");
        assert_eq!(error.kind(), "denied");
        assert_eq!(
            error.hint().unwrap(),
            "a Role needs the rule `apiGroups: [\"\"], resources: [\"pods/log\"], verbs: [\"get\"]`, bound to you"
        );
        let call = Call::new("create", Resource::Jobs, Some("ml"), None);
        let error = call.refused(Status::failure("no", "Forbidden").with_code(403));
        assert!(error.hint().unwrap().contains("apiGroups: [\"batch\"], resources: [\"jobs\"]"));
        let call = Call::new("list", Resource::Nodes, None, None);
        let error = call.refused(Status::failure("no", "Forbidden").with_code(403));
        assert!(error.hint().unwrap().starts_with("a ClusterRole"), "{error}");
    }

    #[test]
    fn what_a_plugin_printed_stays_out_of_words() {
        let out = Output {
            status: ExitStatus::from_raw(255 << 8),
            stdout: b"{\"status\":{\"token\":\"k8s-aws-v1.secret\"}}".to_vec(),
            stderr: b"\nThe SSO session has expired\n\n".to_vec(),
        };
        let failed = AuthError::AuthExecRun { cmd: "AWS_SECRET=hush aws".to_owned(), out: Box::new(out) };
        assert_eq!(credentials(&failed, "aws"), "`aws` ended with exit status: 255: The SSO session has expired");
        let failed = AuthError::AuthExec("k8s-aws-v1.secret".to_owned());
        assert_eq!(credentials(&failed, "aws"), "`aws` gave none that can be used");
    }

    #[test]
    fn contexts_that_are_not_there_are_told_with_those_that_are() {
        let known = vec!["a".to_owned(), "b".to_owned()];
        let error = KubernetesError::NoContext { name: Some("c".to_owned()), known };
        assert_eq!(error.to_string(), "the kubeconfig has no context `c`: it has a, b");
    }
}
