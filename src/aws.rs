//! The AWS edge: one place for Region, endpoint, credentials, retries, proxies and certificates.
#![expect(clippy::disallowed_methods, reason = "this is the file edge: the certificate bundle and what names a proxy")]

pub mod ec2;
pub mod eks;
mod failure;
pub mod iam;
mod lease;
mod line;
pub mod s3;
pub mod sts;

pub use failure::{ErrorClass, ServiceError};

use crate::model::{AccountId, Arn, Endpoint, Identity, Region};
use aws_config::identity::IdentityCache;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::{AppName, BehaviorVersion, SdkConfig};
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::future::ProvideCredentials as Providing;
use aws_sdk_s3::config::{Credentials, ProvideCredentials, SharedCredentialsProvider};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use lease::Lease;
use s3::S3Error;
use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// What the embedded endpoint calls itself in the `Server` header of each answer.
pub const EMBEDDED_SERVER_HEADER: &str = "bucketwright";

/// How often a request is tried in all, the first time included.
const ATTEMPTS: u32 = 5;
/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long nothing may move on a line before it is given up, unless told otherwise.
pub const DEFAULT_SILENCE: Duration = Duration::from_secs(60);
/// How long asking who we are may take: it is a courtesy, not a gate.
const IDENTITY_TIMEOUT: Duration = Duration::from_secs(2);

/// What the command line and the environment say about the connection. The SDK's own chain fills the rest.
#[derive(Debug, Clone, Default)]
pub struct Connection {
    /// The profile, if one was named.
    pub profile: Option<String>,
    /// The Region, if one was named.
    pub region: Option<Region>,
    /// The endpoint of all services, if it is not AWS.
    pub endpoint_url: Option<String>,
    /// The role to take before anything else.
    pub as_role: Option<Arn>,
    /// A PEM file with the certificates to trust beside the system's.
    pub ca_bundle: Option<PathBuf>,
    /// How long nothing may move on a line before it is given up; [`DEFAULT_SILENCE`] if it was not said.
    pub silence: Option<Duration>,
}

/// A resolved connection.
#[derive(Debug)]
pub struct Clients {
    /// The SDK's configuration, for further services.
    pub config: SdkConfig,
    /// The S3 client.
    pub s3: aws_sdk_s3::Client,
    /// The Region requests are signed for.
    pub region: Region,
    /// The kind of endpoint.
    pub endpoint: Endpoint,
    /// The endpoint in words.
    pub place: String,
    /// Where the credentials come from, where they may be replaced.
    lease: Option<Lease>,
}

/// Why no connection could be set up.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The bundle cannot be read.
    #[error("cannot read the certificate bundle `{path}`")]
    Bundle {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// The bundle's content is no certificate.
    #[error("the certificate bundle `{path}` holds no usable PEM certificate: {message}")]
    BadBundle {
        /// The file.
        path: PathBuf,
        /// What the TLS library says.
        message: String,
    },
    /// The environment names a proxy that cannot be used. What it names may hold a password.
    #[error("`{0}` names no HTTP proxy: it is written as `http://HOST:PORT`")]
    BadProxy(&'static str),
    /// Nothing names a Region.
    #[error("no region is set")]
    NoRegion,
    /// What names the Region has not the form of one.
    #[error(transparent)]
    BadRegion(#[from] crate::model::RegionError),
    /// The endpoint's URL is none.
    #[error("`{0}` is not an endpoint URL: it starts with `http://` or `https://`")]
    BadEndpoint(String),
}

/// What a configuration is made of, so that it can be made again when the files that it comes from have changed.
#[derive(Debug, Clone)]
struct Recipe {
    connection: Connection,
    http_client: SharedHttpClient,
}

impl Recipe {
    /// The SDK's configuration as the files and the environment are now.
    async fn config(&self) -> SdkConfig {
        let connection = &self.connection;
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
            .timeout_config(TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).build())
            // Both are done by ourselves: `line` ends what is silent, `lease` keeps the credentials.
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .identity_cache(IdentityCache::no_cache())
            .http_client(self.http_client.clone());
        if let Ok(name) = AppName::new("bucketwright") {
            loader = loader.app_name(name);
        }
        if let Some(profile) = &connection.profile {
            loader = loader.profile_name(profile);
        }
        if let Some(region) = &connection.region {
            loader = loader.region(aws_config::Region::new(region.as_str().to_owned()));
        }
        if let Some(url) = &connection.endpoint_url {
            loader = loader.endpoint_url(url);
        }
        let config = of_profile(loader.load().await, connection.profile.as_deref());
        as_role(config, connection.as_role.as_ref()).await
    }

    /// Where credentials come from as the files and the environment are now.
    async fn chain(&self) -> Option<SharedCredentialsProvider> {
        self.config().await.credentials_provider()
    }
}

/// Resolves profile, Region, endpoint and credentials as every AWS tool does.
pub async fn connect(connection: &Connection) -> Result<Clients, ConnectError> {
    let silence = connection.silence.unwrap_or(DEFAULT_SILENCE);
    let http_client = line::open(connection.ca_bundle.as_deref(), silence)?;
    let recipe = Recipe { connection: connection.clone(), http_client };
    let config = recipe.config().await;
    let lease = config.credentials_provider().map(|chain| Lease::new(recipe, chain));
    let config = match &lease {
        Some(lease) => {
            config.into_builder().credentials_provider(SharedCredentialsProvider::new(lease.clone())).build()
        }
        None => config,
    };
    let url = config.endpoint_url().map(str::to_owned);
    let region = match (config.region(), &url) {
        (Some(region), _) => region.as_ref().parse()?,
        // Other servers mostly ignore the Region, so a missing one must not stop anybody there.
        (None, Some(_)) => Region::us_east_1(),
        (None, None) => return Err(ConnectError::NoRegion),
    };
    let endpoint = endpoint_kind(url.as_deref())?;
    let mut s3_config = aws_sdk_s3::config::Builder::from(&config)
        .region(aws_config::Region::new(region.as_str().to_owned()))
        .force_path_style(url.is_some());
    if let Some(lease) = &lease {
        s3_config = s3_config.interceptor(lease.clone()).retry_classifier(lease.clone());
    }
    let place = url.unwrap_or_else(|| "aws".to_owned());
    Ok(Clients { config, s3: aws_sdk_s3::Client::from_conf(s3_config.build()), region, endpoint, place, lease })
}

/// Credentials that come from the embedded endpoint itself.
#[derive(Clone, Copy)]
pub struct Keys<'keys> {
    /// The access key id.
    pub access_key: &'keys str,
    /// The secret that signs requests.
    pub secret_key: &'keys str,
    /// The token of a role's session.
    pub session_token: Option<&'keys str>,
}

impl fmt::Debug for Keys<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Keys").field("access_key", &self.access_key).finish_non_exhaustive()
    }
}

impl Keys<'_> {
    /// The same as the SDK takes them. That they end is left to the service to say, in its own words.
    pub fn credentials(&self) -> Credentials {
        let token = self.session_token.map(str::to_owned);
        Credentials::new(self.access_key, self.secret_key, token, None, "bucketwright")
    }
}

/// A connection to the embedded endpoint in this process, over `http_client` instead of a socket.
pub fn connect_in_process(http_client: SharedHttpClient, keys: Keys<'_>, region: Region, place: String) -> Clients {
    let config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(aws_config::Region::new(region.as_str().to_owned()))
        .credentials_provider(SharedCredentialsProvider::new(keys.credentials()))
        .endpoint_url("http://localhost")
        .http_client(http_client)
        .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
        // A machine that is busy lets requests to its own process wait for longer than the SDK takes for a dead line.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .build();
    let s3_config = aws_sdk_s3::config::Builder::from(&config).force_path_style(true).build();
    Clients {
        s3: aws_sdk_s3::Client::from_conf(s3_config),
        config,
        region,
        endpoint: Endpoint::Embedded,
        place,
        lease: None,
    }
}

/// The same configuration with the credentials of the profile that was named by hand, and of nothing else: keys in the
/// environment would otherwise be used in silence, of another account maybe, and the two sides of a copy could not be told
/// apart. The AWS CLI does not look at the environment's keys either once a profile is named.
///
/// Source: <https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-files.html>
fn of_profile(config: SdkConfig, profile: Option<&str>) -> SdkConfig {
    let Some(profile) = profile else { return config };
    let mut around = ProviderConfig::without_region().with_region(config.region().cloned());
    if let Some(client) = config.http_client() {
        around = around.with_http_client(client);
    }
    let found = ProfileFileCredentialsProvider::builder().configure(&around).profile_name(profile).build();
    let named = NamedProfile { name: profile.to_owned(), found };
    config.into_builder().credentials_provider(SharedCredentialsProvider::new(named)).build()
}

/// A profile that somebody named, which says its name where it gives nothing.
#[derive(Debug)]
struct NamedProfile {
    name: String,
    found: ProfileFileCredentialsProvider,
}

impl NamedProfile {
    async fn credentials(&self) -> Result<Credentials, CredentialsError> {
        match self.found.provide_credentials().await {
            Err(CredentialsError::CredentialsNotLoaded(_)) => {
                Err(CredentialsError::not_loaded(format!("the profile `{}` gives no credentials", self.name)))
            }
            other => other,
        }
    }
}

impl ProvideCredentials for NamedProfile {
    fn provide_credentials<'a>(&'a self) -> Providing<'a>
    where
        Self: 'a,
    {
        Providing::new(self.credentials())
    }
}

/// The same configuration with the credentials of `role`, taken with those it had.
async fn as_role(config: SdkConfig, role: Option<&Arn>) -> SdkConfig {
    let Some(role) = role else { return config };
    let provider = aws_config::sts::AssumeRoleProvider::builder(role.as_str())
        .session_name("bucketwright")
        .configure(&config)
        .build()
        .await;
    config.into_builder().credentials_provider(SharedCredentialsProvider::new(provider)).build()
}

fn endpoint_kind(url: Option<&str>) -> Result<Endpoint, ConnectError> {
    match url {
        None => Ok(Endpoint::Aws),
        Some(url) if url.starts_with("https://") => Ok(Endpoint::OtherHttps),
        Some(url) if url.starts_with("http://") => Ok(Endpoint::OtherHttp),
        Some(url) => Err(ConnectError::BadEndpoint(url.to_owned())),
    }
}

/// The bucket that nobody has, asked for to see who answers.
const NOBODYS_BUCKET: &str = "bucketwright-asks-who-answers";

/// True if the program's own endpoint answers, which counts loopback as secure transport. It says so in a header.
///
/// Asked twice at most: where nobody listens, the call that matters should say so soon.
pub async fn is_embedded(clients: &Clients) -> bool {
    let config = clients.s3.config().to_builder().retry_config(RetryConfig::standard().with_max_attempts(2)).build();
    match aws_sdk_s3::Client::from_conf(config).head_bucket().bucket(NOBODYS_BUCKET).send().await {
        Ok(_) => false,
        Err(error) => {
            error.raw_response().and_then(|answer| answer.headers().get("server")) == Some(EMBEDDED_SERVER_HEADER)
        }
    }
}

/// When the caller's credentials end, once they have been used; none for those without an end.
pub fn end_of_credentials(clients: &Clients) -> Option<SystemTime> {
    clients.lease.as_ref()?.end()
}

/// Who the credentials belong to. An endpoint without STS leaves both parts unknown; credentials that are missing,
/// expired or wrong are errors, because every later call would fail the same way.
///
/// Source: <https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html>
pub async fn caller(clients: &Clients) -> Result<Identity, S3Error> {
    let config = aws_sdk_sts::config::Builder::from(&clients.config)
        .region(aws_config::Region::new(clients.region.as_str().to_owned()))
        .retry_config(RetryConfig::disabled())
        .build();
    let sts = aws_sdk_sts::Client::from_conf(config);
    let Ok(answer) = tokio::time::timeout(IDENTITY_TIMEOUT, sts.get_caller_identity().send()).await else {
        return Ok(Identity::default());
    };
    match answer {
        Ok(output) => {
            let account = output.account().and_then(|account| account.parse::<AccountId>().ok());
            Ok(Identity { account, arn: output.arn().map(str::to_owned) })
        }
        Err(error) => {
            let error = S3Error::new("GetCallerIdentity", &clients.place, &error);
            let on_aws = clients.endpoint == Endpoint::Aws;
            match error.class {
                ErrorClass::NoCredentials => Err(error),
                ErrorClass::ExpiredCredentials | ErrorClass::BadCredentials | ErrorClass::ClockSkew if on_aws => {
                    Err(error)
                }
                _ => Ok(Identity::default()),
            }
        }
    }
}
