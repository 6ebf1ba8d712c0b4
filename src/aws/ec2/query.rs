//! Signed calls of EC2's Query protocol over the SDK's own runtime: a form goes out, XML comes back.
//!
//! Source: <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/making-api-requests.html>

use crate::aws::{ATTEMPTS, ServiceError};
use crate::model::Region;
use crate::model::xml::Element;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_runtime::auth::SigV4OperationSigningConfig;
use aws_runtime::auth::sigv4::{SCHEME_ID, SigV4AuthScheme};
use aws_runtime::retries::classifiers::AwsErrorCodeClassifier;
use aws_smithy_runtime::client::identity::IdentityCache;
use aws_smithy_runtime::client::orchestrator::operation::Operation;
use aws_smithy_runtime::client::retries::classifiers::{HttpStatusCodeClassifier, TransientErrorClassifier};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::auth::AuthSchemeOptionResolverParams;
use aws_smithy_runtime_api::client::auth::static_resolver::StaticAuthSchemeOptionResolver;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse, OrchestratorError};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponentsBuilder;
use aws_smithy_runtime_api::client::runtime_plugin::StaticRuntimePlugin;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::Layer;
use aws_smithy_types::error::ErrorMetadata;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use std::fmt::Write as _;

/// The version of the API that the calls are written for.
const VERSION: &str = "2016-11-15";
/// What the program calls itself.
const USER_AGENT: &str = concat!("bucketwright/", env!("CARGO_PKG_VERSION"));

/// The service behind its endpoint.
#[derive(Debug, Clone)]
pub(super) struct Query {
    url: String,
    region: Region,
    http_client: Option<SharedHttpClient>,
    credentials: Option<SharedCredentialsProvider>,
    timeouts: TimeoutConfig,
}

/// The domain of a partition's services.
///
/// Source: <https://docs.aws.amazon.com/general/latest/gr/rande.html>
fn domain(region: &Region) -> &'static str {
    match region.partition() {
        "aws-cn" => "amazonaws.com.cn",
        "aws-eusc" => "amazonaws.eu",
        _ => "amazonaws.com",
    }
}

impl Query {
    pub(super) fn new(config: &SdkConfig, region: &Region) -> Self {
        let own = || format!("https://ec2.{region}.{}", domain(region));
        Self {
            url: config.endpoint_url().map_or_else(own, str::to_owned),
            region: region.clone(),
            http_client: config.http_client(),
            credentials: config.credentials_provider(),
            timeouts: config.timeout_config().cloned().unwrap_or_else(TimeoutConfig::disabled),
        }
    }

    /// Makes one call; the answer is the document's root.
    pub(super) async fn call(
        &self,
        operation: &'static str,
        target: &str,
        parameters: &[(String, String)],
    ) -> Result<Element, ServiceError> {
        let mut form = format!("Action={operation}&Version={VERSION}");
        for (name, value) in parameters {
            form.push('&');
            form.push_str(&encoded(name));
            form.push('=');
            form.push_str(&encoded(value));
        }
        let Some(http_client) = self.http_client.clone() else {
            return Err(ServiceError::unexpected(operation, target, "there is no line to the endpoint"));
        };
        let call = Operation::builder()
            .service_name("EC2")
            .operation_name(operation)
            .behavior_version(BehaviorVersion::latest())
            .http_client(http_client)
            .endpoint_url(&self.url)
            .standard_retry(&RetryConfig::standard().with_max_attempts(ATTEMPTS))
            .retry_classifier(TransientErrorClassifier::<ErrorMetadata>::new())
            .retry_classifier(HttpStatusCodeClassifier::default())
            .retry_classifier(AwsErrorCodeClassifier::<ErrorMetadata>::new())
            .timeout_config(self.timeouts.clone())
            .runtime_plugin(self.signer())
            .serializer(request)
            .deserializer(answer)
            .build();
        call.invoke(form).await.map_err(|error| ServiceError::new(operation, target, &error))
    }

    /// Version 4 signatures with the connection's own credentials.
    fn signer(&self) -> StaticRuntimePlugin {
        let mut layer = Layer::new("ec2");
        layer.store_put(AuthSchemeOptionResolverParams::new(()));
        layer.store_put(SigV4OperationSigningConfig {
            region: Some(aws_config::Region::new(self.region.to_string()).into()),
            name: Some("ec2".into()),
            ..SigV4OperationSigningConfig::default()
        });
        let mut components = RuntimeComponentsBuilder::new("ec2")
            .with_auth_scheme(SigV4AuthScheme::new())
            .with_auth_scheme_option_resolver(Some(StaticAuthSchemeOptionResolver::new(vec![SCHEME_ID])))
            .with_identity_cache(Some(IdentityCache::no_cache()));
        if let Some(credentials) = self.credentials.clone() {
            components.set_identity_resolver(SCHEME_ID, credentials);
        }
        StaticRuntimePlugin::new().with_config(layer.freeze()).with_runtime_components(components)
    }
}

/// A text as forms and signatures take it: all but unreserved letters of RFC 3986 is encoded.
fn encoded(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => safe.push(char::from(byte)),
            other => {
                // Writing to a text cannot fail.
                _ = write!(safe, "%{other:02X}");
            }
        }
    }
    safe
}

fn request(form: String) -> Result<HttpRequest, BoxError> {
    let length = form.len().to_string();
    let mut request = HttpRequest::new(SdkBody::from(form));
    request.set_method("POST")?;
    request.set_uri("/")?;
    let headers = request.headers_mut();
    headers.try_insert("content-type", "application/x-www-form-urlencoded; charset=utf-8")?;
    headers.try_insert("content-length", length)?;
    headers.try_insert("user-agent", USER_AGENT)?;
    Ok(request)
}

/// The answer's document, or the code and message of a refusal.
fn answer(response: &HttpResponse) -> Result<Element, OrchestratorError<ErrorMetadata>> {
    let document = response.body().bytes().and_then(Element::parse);
    if response.status().is_success() {
        return document.ok_or_else(|| OrchestratorError::other("the answer is no XML document of EC2"));
    }
    let error = document.as_ref().and_then(|root| root.child("Errors")?.child("Error"));
    let mut refusal = ErrorMetadata::builder();
    if let Some(code) = error.and_then(|error| error.text_of("Code")) {
        refusal = refusal.code(code);
    }
    if let Some(message) = error.and_then(|error| error.text_of("Message")) {
        refusal = refusal.message(message);
    }
    Err(OrchestratorError::operation(refusal.build()))
}

#[cfg(test)]
mod tests {
    use super::{Query, domain, encoded};
    use crate::model::Region;
    use aws_config::SdkConfig;

    #[test]
    fn forms_hold_only_unreserved_letters() {
        assert_eq!(encoded("kubernetes.io/cluster/a b+c~é"), "kubernetes.io%2Fcluster%2Fa%20b%2Bc~%C3%A9");
    }

    #[test]
    fn each_partition_has_its_domain() {
        for (region, url) in [
            ("us-east-1", "https://ec2.us-east-1.amazonaws.com"),
            ("us-gov-west-1", "https://ec2.us-gov-west-1.amazonaws.com"),
            ("cn-north-1", "https://ec2.cn-north-1.amazonaws.com.cn"),
            ("eusc-de-east-1", "https://ec2.eusc-de-east-1.amazonaws.eu"),
        ] {
            let region: Region = region.parse().unwrap();
            assert_eq!(Query::new(&SdkConfig::builder().build(), &region).url, url, "{}", domain(&region));
        }
    }
}
