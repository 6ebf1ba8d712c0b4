//! The line to every endpoint: through a proxy or not, with the certificates to trust, and given up once nothing moves.
//!
//! The SDK's read timeout bounds a whole request with its body, so on a slow line it ends uploads that go well, and its
//! stalled-stream protection sees a body in memory leave at once. Here bodies leave in chunks, as fast as the
//! socket takes them, and only silence ends a request, on its way out and on its way back.

mod silence;

use super::ConnectError;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{self, TlsContext, TrustStore, rustls_provider::CryptoMode};
use aws_smithy_http_client::{Builder, Connector};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use http::Uri;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use silence::Pulse;
use std::error::Error;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

/// The variables that name a proxy, as every AWS tool and curl know them, each with its small twin.
const PROXY_VARIABLES: [&str; 6] = ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];

/// An HTTP client over the line that the environment and `ca_bundle` describe, which gives up what falls silent.
pub(super) fn open(ca_bundle: Option<&Path>, silence: Duration) -> Result<SharedHttpClient, ConnectError> {
    let mut trusted = TrustStore::default();
    if let Some(path) = ca_bundle {
        trusted.add_pem_certificate(read_bundle(path)?);
    }
    let message = |error: &dyn Error| error.to_string();
    let context = TlsContext::builder().with_trust_store(trusted).build().map_err(|error| ConnectError::BadBundle {
        path: ca_bundle.unwrap_or(Path::new("")).to_owned(),
        message: message(&error),
    })?;
    let client = |proxy: ProxyConfig| {
        let context = context.clone();
        Builder::new().build_with_connector_fn(move |settings, components| {
            let builder = Connector::builder()
                .tls_provider(tls::Provider::Rustls(CryptoMode::AwsLc))
                .tls_context(context.clone())
                .proxy_config(proxy.clone());
            let mut builder = builder;
            builder.set_connector_settings(settings.cloned());
            builder.set_sleep_impl(components.and_then(RuntimeComponents::sleep_impl));
            builder.build()
        })
    };
    let proxied = is_proxied()?.then(|| client(ProxyConfig::from_env()));
    Ok(SharedHttpClient::new(Line { direct: client(ProxyConfig::disabled()), proxied, silence }))
}

/// The certificates of a bundle. What is no certificate is found here: the SDK panics at it, at the first request.
fn read_bundle(path: &Path) -> Result<Vec<u8>, ConnectError> {
    let pem = std::fs::read(path).map_err(|source| ConnectError::Bundle { path: path.to_owned(), source })?;
    let bad = |message: String| ConnectError::BadBundle { path: path.to_owned(), message };
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let found = found.map_err(|error| bad(error.to_string()))?;
    if found.is_empty() {
        return Err(bad("no BEGIN CERTIFICATE line".to_owned()));
    }
    let mut store = RootCertStore::empty();
    for certificate in found {
        store.add(certificate).map_err(|error| bad(error.to_string()))?;
    }
    Ok(pem)
}

/// True if the environment names a proxy. What is none must not be passed over: requests would go another way than the
/// user thinks. The value is never repeated, since it may hold a password.
fn is_proxied() -> Result<bool, ConnectError> {
    let mut named = false;
    for variable in PROXY_VARIABLES {
        let Some(value) = std::env::var_os(variable).filter(|value| !value.is_empty()) else { continue };
        if !value.to_str().is_some_and(is_proxy) {
            return Err(ConnectError::BadProxy(variable));
        }
        named = true;
    }
    Ok(named)
}

/// True for `http://host:port`, `https://host:port` and `host:port`, with or without a user and a password.
fn is_proxy(value: &str) -> bool {
    value.parse::<Uri>().is_ok_and(|uri| {
        let scheme = uri.scheme_str().unwrap_or("http");
        ["http", "https"].contains(&scheme) && uri.host().is_some_and(|host| !host.is_empty())
    })
}

/// Both ways out.
#[derive(Debug)]
struct Line {
    direct: SharedHttpClient,
    proxied: Option<SharedHttpClient>,
    silence: Duration,
}

impl HttpClient for Line {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        let connector = |client: &SharedHttpClient| client.http_connector(settings, components);
        let proxied = self.proxied.as_ref().map(connector);
        SharedHttpConnector::new(Way { direct: connector(&self.direct), proxied, silence: self.silence })
    }
}

#[derive(Debug)]
struct Way {
    direct: SharedHttpConnector,
    proxied: Option<SharedHttpConnector>,
    silence: Duration,
}

impl HttpConnector for Way {
    fn call(&self, mut request: HttpRequest) -> HttpConnectorFuture {
        let proxied = self.proxied.as_ref().filter(|_| !is_near(request.uri()));
        let through = proxied.map(|_| ProxyVariables::of(request.uri()));
        let pulse = Pulse::new(self.silence);
        let body = pulse.outgoing(request.take_body());
        *request.body_mut() = body;
        let answer = proxied.unwrap_or(&self.direct).call(request);
        HttpConnectorFuture::new(async move {
            let mut answer = pulse.or_silence(answer).await.map_err(|error| explain(error, through))?;
            let body = pulse.incoming(answer.take_body());
            *answer.body_mut() = body;
            Ok(answer)
        })
    }
}

/// True for hosts that no proxy can be meant for: this machine, and the link-local addresses at which clouds hand out
/// credentials. Go's HTTP client spares this machine as well; curl and Python need NO_PROXY for it.
///
/// Source: <https://pkg.go.dev/net/http#ProxyFromEnvironment>
fn is_near(uri: &str) -> bool {
    let Ok(uri) = uri.parse::<Uri>() else { return false };
    let host = uri.host().unwrap_or_default();
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V4(ip)) => ip.is_loopback() || ip.is_link_local(),
        Ok(IpAddr::V6(ip)) => ip.is_loopback() || ip.is_unicast_link_local(),
        Err(_) => host.eq_ignore_ascii_case("localhost") || host.to_ascii_lowercase().ends_with(".localhost"),
    }
}

/// Where the proxy of a request was named.
#[derive(Debug, Clone, Copy)]
enum ProxyVariables {
    Http,
    Https,
}

impl ProxyVariables {
    fn of(uri: &str) -> Self {
        if uri.starts_with("https:") { Self::Https } else { Self::Http }
    }

    const fn names(self) -> &'static str {
        match self {
            Self::Http => "HTTP_PROXY or ALL_PROXY",
            Self::Https => "HTTPS_PROXY or ALL_PROXY",
        }
    }
}

/// What a failed call should say beside its own words.
#[derive(Debug, thiserror::Error)]
enum LineError {
    /// The endpoint shows a certificate that nothing here vouches for.
    #[error("the endpoint's certificate is not trusted")]
    Untrusted(#[source] Box<dyn Error + Send + Sync>),
    /// A proxy was in between.
    #[error("through the proxy of {0}")]
    Proxy(&'static str, #[source] Box<dyn Error + Send + Sync>),
}

/// The same failure, with the proxy in between named. A certificate that is not trusted is not worth another try, which
/// the SDK would give it as it does to everything that fails while connecting.
fn explain(error: ConnectorError, through: Option<ProxyVariables>) -> ConnectorError {
    if chain(&error).any(|cause| cause.to_string().starts_with("invalid peer certificate")) {
        return ConnectorError::other(LineError::Untrusted(error.into_source()).into(), None);
    }
    let Some(through) = through else { return error };
    let (is_timeout, is_io, kind) = (error.is_timeout(), error.is_io(), error.as_other());
    let source = LineError::Proxy(through.names(), error.into_source()).into();
    match () {
        () if is_timeout => ConnectorError::timeout(source),
        () if is_io => ConnectorError::io(source),
        () => ConnectorError::other(source, kind),
    }
}

/// An error and what caused it. An `io::Error` hides what it wraps from `source`, so that is asked for.
fn chain<'error>(error: &'error (dyn Error + 'static)) -> impl Iterator<Item = &'error (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| match error.downcast_ref::<std::io::Error>() {
        Some(io) => io.get_ref().map(|inner| inner as &(dyn Error + 'static)),
        None => error.source(),
    })
}

#[cfg(test)]
mod tests {
    use super::{is_near, is_proxy};

    #[test]
    fn this_machine_and_its_neighbours_need_no_proxy() {
        for (uri, near) in [
            ("http://127.0.0.1:9000/b", true),
            ("http://localhost:1", true),
            ("http://b.localhost/k", true),
            ("http://[::1]:80/", true),
            ("http://169.254.169.254/latest", true),
            ("http://169.254.170.23/v1/credentials", true),
            ("https://s3.us-east-1.amazonaws.com/b", false),
            ("http://10.0.0.1", false),
            ("http://localhost.example", false),
        ] {
            assert_eq!(is_near(uri), near, "{uri}");
        }
    }

    #[test]
    fn what_is_no_http_proxy_is_told() {
        for (value, proxy) in [
            ("http://proxy.example:3128", true),
            ("proxy.example:3128", true),
            ("https://user:pass@proxy.example", true),
            ("socks5://proxy.example:1080", false),
            ("http://", false),
            ("not a proxy", false),
        ] {
            assert_eq!(is_proxy(value), proxy, "{value}");
        }
    }
}
