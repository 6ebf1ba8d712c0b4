//! An embedded endpoint in a temporary folder, and SDK clients that reach it.
#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "what fails here fails the test")]

use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::{BehaviorVersion, Config, Credentials, Region, StalledStreamProtectionConfig};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use bucketwright::model::AccountId;
use bucketwright::server::{Issued, Server, ServerOptions};
use std::path::Path;
use tempfile::TempDir;

/// An endpoint over a folder that goes with it.
pub(crate) struct Endpoint {
    pub(crate) folder: TempDir,
    pub(crate) server: Server,
    pub(crate) client: Client,
}

pub(crate) fn options(region: &str) -> ServerOptions {
    ServerOptions { account: AccountId::local(), region: region.parse().unwrap() }
}

pub(crate) fn open(folder: &Path) -> Server {
    Server::open(folder, options("us-east-1")).unwrap()
}

/// A client as the tool makes one: path-style, no retries, so that every answer is seen.
pub(crate) fn client(server: &Server, secret: &str) -> Client {
    client_over(server.http_client(), "http://localhost", server.access_key(), secret)
}

pub(crate) fn client_over(http: SharedHttpClient, url: &str, access_key: &str, secret: &str) -> Client {
    Client::from_conf(config(url, access_key, secret).http_client(http).build())
}

/// A client that reaches `url` over a socket.
pub(crate) fn socket_client(server: &Server, url: &str) -> Client {
    client_with(url, server.access_key(), server.secret_key())
}

pub(crate) fn client_with(url: &str, access_key: &str, secret: &str) -> Client {
    Client::from_conf(config(url, access_key, secret).build())
}

/// A client with a principal's credentials.
pub(crate) fn client_as(server: &Server, issued: &Issued) -> Client {
    let token = issued.session_token.clone();
    let credentials = Credentials::new(&issued.access_key, &issued.secret_key, token, None, "test");
    let config = config("http://localhost", "", "").credentials_provider(credentials);
    Client::from_conf(config.http_client(server.http_client()).build())
}

/// A client that signs nothing.
pub(crate) fn anonymous(server: &Server) -> Client {
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url("http://localhost")
        .region(Region::new("us-east-1"))
        .retry_config(RetryConfig::disabled())
        .force_path_style(true)
        .allow_no_auth();
    Client::from_conf(config.http_client(server.http_client()).build())
}

pub(crate) fn config(url: &str, access_key: &str, secret: &str) -> aws_sdk_s3::config::Builder {
    Config::builder()
        .behavior_version(BehaviorVersion::latest())
        // A machine that is busy with tests is no dead line.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .endpoint_url(url)
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new(access_key, secret, None, None, "test"))
        .retry_config(RetryConfig::disabled())
        .force_path_style(true)
}

impl Endpoint {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = open(folder.path());
        let client = client(&server, server.secret_key());
        Self { folder, server, client }
    }

    /// An endpoint with one bucket, `bucket`.
    pub(crate) async fn with_bucket() -> Self {
        let endpoint = Self::new();
        endpoint.client.create_bucket().bucket("bucket").send().await.unwrap();
        endpoint
    }

    pub(crate) async fn put(&self, key: &str, body: &[u8]) {
        self.client.put_object().bucket("bucket").key(key).body(body.to_vec().into()).send().await.unwrap();
    }

    /// How many blob files the folder holds.
    pub(crate) fn blob_files(&self) -> usize {
        let folders = std::fs::read_dir(self.folder.path().join("blobs")).unwrap();
        folders.map(|folder| std::fs::read_dir(folder.unwrap().path()).unwrap().count()).sum()
    }

    pub(crate) async fn get(&self, key: &str) -> Vec<u8> {
        let got = self.client.get_object().bucket("bucket").key(key).send().await.unwrap();
        got.body.collect().await.unwrap().to_vec()
    }
}

/// `ok`, or the service's error code with its status: `NoSuchKey 404`.
pub(crate) fn code<T, E: ProvideErrorMetadata + std::fmt::Debug>(
    result: Result<T, SdkError<E, aws_smithy_runtime_api::client::orchestrator::HttpResponse>>,
) -> String {
    match result {
        Ok(_) => "ok".to_owned(),
        Err(SdkError::ServiceError(error)) => {
            format!("{} {}", error.err().code().unwrap_or("?"), error.raw().status().as_u16())
        }
        Err(other) => format!("{other:?}"),
    }
}
