//! The edge to the API server of a Kubernetes cluster: what is there, what is made, and what pods print. It hands on JSON as
//! it comes and decides nothing.
//!
//! Source: <https://kubernetes.io/docs/reference/using-api/api-concepts/>

mod connect;
mod lines;
mod trouble;

pub use connect::Way;
pub use lines::Lines;
pub use trouble::KubernetesError;

use crate::model::Arn;
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Limited};
use kube::client::Body;
use kube::core::Status;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::time::Duration;
use trouble::Call;

/// How many objects one page of a listing holds, as in kubectl.
const PAGE: u32 = 500;
/// The longest answer that is read: a page of pods as large as they can be.
const MAX_ANSWER_BYTES: usize = 512 * 1024 * 1024;
/// How long an answer may take, retries of a busy server among it.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);
/// How often the continuation of a listing may come too late.
const MAX_EXPIRED_PAGES: u32 = 3;
/// What an API server says of a name that is taken.
const ALREADY_EXISTS: &str = "AlreadyExists";

/// What is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource {
    /// Pods.
    Pods,
    /// Service accounts.
    ServiceAccounts,
    /// Nodes, which are in no namespace.
    Nodes,
    /// Jobs.
    Jobs,
    /// ConfigMaps.
    ConfigMaps,
    /// Events.
    Events,
}

impl Resource {
    /// Its name in paths and in rules of RBAC.
    pub const fn plural(self) -> &'static str {
        match self {
            Self::Pods => "pods",
            Self::ServiceAccounts => "serviceaccounts",
            Self::Nodes => "nodes",
            Self::Jobs => "jobs",
            Self::ConfigMaps => "configmaps",
            Self::Events => "events",
        }
    }

    /// Its API group, which is empty for the core.
    pub const fn group(self) -> &'static str {
        match self {
            Self::Jobs => "batch",
            _ => "",
        }
    }

    /// The resource that a document is of.
    pub fn of(document: &Value) -> Option<Self> {
        match document["kind"].as_str()? {
            "Job" => Some(Self::Jobs),
            "ConfigMap" => Some(Self::ConfigMaps),
            _ => None,
        }
    }

    fn path(self, namespace: Option<&str>) -> String {
        let root = match self.group() {
            "" => "/api/v1".to_owned(),
            group => format!("/apis/{group}/v1"),
        };
        match namespace {
            Some(namespace) => format!("{root}/namespaces/{namespace}/{}", self.plural()),
            None => format!("{root}/{}", self.plural()),
        }
    }
}

/// Which objects of a listing are meant.
#[derive(Debug, Clone, Default)]
pub struct Choice {
    /// Those with these labels, as selectors write them.
    pub labels: Option<String>,
    /// Those with these fields.
    pub fields: Option<String>,
}

/// What became of a document that was to be made.
#[derive(Debug, Clone, PartialEq)]
pub enum Made {
    /// It was made; this is how the API server keeps it.
    New(Value),
    /// There is one of that name already.
    Taken,
}

/// What of a container's log is read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogChoice {
    /// The container; the only one where none is named.
    pub container: Option<String>,
    /// That of the container before its last start.
    pub previous: bool,
    /// So many lines of its end.
    pub last_lines: Option<u32>,
}

/// A connection to an API server.
#[derive(Clone)]
pub struct Api {
    client: kube::Client,
    place: String,
    /// The cluster's ARN, if its context is named by it.
    cluster: Option<Arn>,
    namespace: String,
}

impl std::fmt::Debug for Api {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Api").field("place", &self.place).finish_non_exhaustive()
    }
}

impl Api {
    /// Where it is: `context NAME at URL`.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// The account that the cluster is in, where its context tells that: `aws eks update-kubeconfig` names it by the ARN.
    ///
    /// Source: <https://docs.aws.amazon.com/cli/latest/reference/eks/update-kubeconfig.html>
    pub fn account(&self) -> Option<&str> {
        self.cluster.as_ref().map(Arn::account)
    }

    /// The namespace that the context names.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Lists objects page by page, of one namespace or of all; `take` gets each page as a list.
    pub async fn list(
        &self,
        resource: Resource,
        namespace: Option<&str>,
        choice: &Choice,
        mut take: impl FnMut(&Value),
    ) -> Result<(), KubernetesError> {
        let call = Call::new("list", resource, namespace, None);
        let mut more = String::new();
        let mut expired = 0;
        loop {
            let mut path = format!("{}?limit={PAGE}", resource.path(namespace));
            for (name, value) in [
                ("labelSelector", &choice.labels),
                ("fieldSelector", &choice.fields),
                ("continue", &Some(more.clone())),
            ] {
                if let Some(value) = value.as_ref().filter(|value| !value.is_empty()) {
                    _ = write!(path, "&{name}={}", encoded(value));
                }
            }
            let page = match self.ask(Method::GET, &path, None, &call).await? {
                Answer::Here(page) => page,
                // The server gives a continuation that leaves what changed meanwhile as it is now.
                Answer::Refused(status) if status.code == 410 && expired < MAX_EXPIRED_PAGES => {
                    expired += 1;
                    more = status.metadata.and_then(|metadata| metadata.continue_).unwrap_or_default();
                    if more.is_empty() {
                        return Err(KubernetesError::Other { what: call.what(), why: status.message });
                    }
                    continue;
                }
                Answer::Refused(status) => return Err(call.refused(*status)),
            };
            take(&page);
            match page["metadata"]["continue"].as_str().filter(|token| !token.is_empty()) {
                Some(token) => token.clone_into(&mut more),
                None => return Ok(()),
            }
        }
    }

    /// The same, gathered: for listings that are known to be short.
    pub async fn all(
        &self,
        resource: Resource,
        namespace: &str,
        choice: &Choice,
    ) -> Result<Vec<Value>, KubernetesError> {
        let mut items = Vec::new();
        let take = |page: &Value| items.extend(page["items"].as_array().into_iter().flatten().cloned());
        self.list(resource, Some(namespace), choice, take).await?;
        Ok(items)
    }

    /// One object; none if it is not there. Nodes have no namespace.
    pub async fn get(
        &self,
        resource: Resource,
        namespace: Option<&str>,
        name: &str,
    ) -> Result<Option<Value>, KubernetesError> {
        let call = Call::new("get", resource, namespace, Some(name));
        let path = format!("{}/{name}", resource.path(namespace));
        match self.ask(Method::GET, &path, None, &call).await? {
            Answer::Here(value) => Ok(Some(value)),
            Answer::Refused(status) if status.code == 404 => Ok(None),
            Answer::Refused(status) => Err(call.refused(*status)),
        }
    }

    /// Makes an object in the namespace that it names.
    pub async fn create(&self, resource: Resource, document: &Value) -> Result<Made, KubernetesError> {
        let metadata = &document["metadata"];
        let (namespace, name) = (metadata["namespace"].as_str(), metadata["name"].as_str());
        let call = Call::new("create", resource, namespace, name);
        match self.ask(Method::POST, &resource.path(namespace), Some(document), &call).await? {
            Answer::Here(value) => Ok(Made::New(value)),
            Answer::Refused(status) if status.reason == ALREADY_EXISTS => Ok(Made::Taken),
            Answer::Refused(status) => Err(call.refused(*status)),
        }
    }

    /// Deletes an object if it still is the one with that id, and in the background what it owns. Whatever is gone already
    /// was meant to be.
    pub async fn delete(
        &self,
        resource: Resource,
        namespace: &str,
        name: &str,
        uid: &str,
    ) -> Result<(), KubernetesError> {
        let call = Call::new("delete", resource, Some(namespace), Some(name));
        let options = json!({
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": "Background",
            "preconditions": { "uid": uid },
        });
        let path = format!("{}/{name}", resource.path(Some(namespace)));
        match self.ask(Method::DELETE, &path, Some(&options), &call).await? {
            Answer::Here(_) => Ok(()),
            // A conflict means that somebody else's has the name now.
            Answer::Refused(status) if status.code == 404 || status.code == 409 => Ok(()),
            Answer::Refused(status) => Err(call.refused(*status)),
        }
    }

    /// What a container printed so far, or the end of it; none where there is no such log.
    pub async fn log(&self, namespace: &str, pod: &str, choice: &LogChoice) -> Result<Option<String>, KubernetesError> {
        let call = Call::new("get", Resource::Pods, Some(namespace), Some(pod)).of_logs();
        let path = log_path(namespace, pod, choice, false);
        let answer = within(&call, async {
            let answer = self.send(Method::GET, &path, None, &call).await?;
            if !answer.status().is_success() {
                return Ok(Err(status(answer, &call).await?));
            }
            Ok(Ok(bytes(answer, &call).await?))
        });
        match answer.await? {
            Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
            // A container that never ran, or never ran before, has no log.
            Err(status) if status.code == 404 || status.code == 400 => Ok(None),
            Err(status) => Err(call.refused(*status)),
        }
    }

    /// What a container prints, line by line from its start to its end.
    pub async fn follow(&self, namespace: &str, pod: &str, container: &str) -> Result<Lines, KubernetesError> {
        let call = Call::new("get", Resource::Pods, Some(namespace), Some(pod)).of_logs();
        let choice = LogChoice { container: Some(container.to_owned()), ..LogChoice::default() };
        let path = log_path(namespace, pod, &choice, true);
        let answer = within(&call, async {
            let answer = self.send(Method::GET, &path, None, &call).await?;
            if answer.status().is_success() { Ok(Ok(answer)) } else { Ok(Err(status(answer, &call).await?)) }
        });
        match answer.await? {
            Ok(answer) => Ok(Lines::new(answer.into_body(), call.what())),
            Err(status) => Err(call.refused(*status)),
        }
    }

    /// One request and its whole answer.
    async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        call: &Call<'_>,
    ) -> Result<Answer, KubernetesError> {
        let asked = within(call, async {
            let answer = self.send(method, path, body, call).await?;
            if !answer.status().is_success() {
                return Ok(Answer::Refused(status(answer, call).await?));
            }
            let bytes = bytes(answer, call).await?;
            let value = serde_json::from_slice(&bytes)
                .map_err(|_| KubernetesError::Other { what: call.what(), why: "the answer is no JSON".to_owned() })?;
            Ok(Answer::Here(value))
        });
        asked.await
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        call: &Call<'_>,
    ) -> Result<Response<Body>, KubernetesError> {
        let other =
            |error: &dyn std::error::Error| KubernetesError::Other { what: call.what(), why: error.to_string() };
        let bytes = match body {
            Some(value) => serde_json::to_vec(value).map_err(|error| other(&error))?,
            None => Vec::new(),
        };
        let request =
            Request::builder().method(method).uri(path).header(http::header::CONTENT_TYPE, "application/json");
        let request = request.body(Body::from(bytes)).map_err(|error| other(&error))?;
        self.client.send(request).await.map_err(|error| KubernetesError::of_client(&error, &self.place))
    }
}

/// What the API server answered.
enum Answer {
    Here(Value),
    Refused(Box<Status>),
}

/// Nothing hangs without a word.
async fn within<T>(
    call: &Call<'_>,
    work: impl Future<Output = Result<T, KubernetesError>>,
) -> Result<T, KubernetesError> {
    match tokio::time::timeout(ANSWER_LIMIT, work).await {
        Ok(done) => done,
        Err(_) => Err(KubernetesError::Slow { what: call.what(), seconds: ANSWER_LIMIT.as_secs() }),
    }
}

async fn bytes(answer: Response<Body>, call: &Call<'_>) -> Result<Vec<u8>, KubernetesError> {
    let whole = Limited::new(answer.into_body(), MAX_ANSWER_BYTES).collect().await;
    let whole = whole.map_err(|error| KubernetesError::Broken { what: call.what(), why: error.to_string() })?;
    Ok(whole.to_bytes().to_vec())
}

/// Why something was refused. What stands between may answer in other forms than the API server.
async fn status(answer: Response<Body>, call: &Call<'_>) -> Result<Box<Status>, KubernetesError> {
    let code = answer.status();
    let bytes = bytes(answer, call).await?;
    let status = serde_json::from_slice(&bytes).unwrap_or_else(|_| {
        let reason = code.canonical_reason().unwrap_or("refused");
        Status::failure(&format!("{} {reason}", code.as_u16()), "")
    });
    Ok(Box::new(status.with_code(code.as_u16())))
}

fn log_path(namespace: &str, pod: &str, choice: &LogChoice, follow: bool) -> String {
    let mut path = format!("{}/{pod}/log?follow={follow}", Resource::Pods.path(Some(namespace)));
    if let Some(container) = &choice.container {
        _ = write!(path, "&container={}", encoded(container));
    }
    if choice.previous {
        path.push_str("&previous=true");
    }
    if let Some(lines) = choice.last_lines {
        _ = write!(path, "&tailLines={lines}");
    }
    path
}

/// A value of a query.
///
/// Source: <https://datatracker.ietf.org/doc/html/rfc3986#section-2.3>
fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(char::from(byte)),
            byte => _ = write!(encoded, "%{byte:02X}"),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::{LogChoice, Resource, encoded, log_path};

    #[test]
    fn paths_are_those_of_the_api() {
        assert_eq!(Resource::Jobs.path(Some("ml")), "/apis/batch/v1/namespaces/ml/jobs");
        assert_eq!(Resource::Nodes.path(None), "/api/v1/nodes");
        let choice = LogChoice { container: Some("main".to_owned()), previous: true, last_lines: Some(9) };
        assert_eq!(
            log_path("ml", "p-0", &choice, false),
            "/api/v1/namespaces/ml/pods/p-0/log?follow=false&container=main&previous=true&tailLines=9"
        );
        assert_eq!(encoded("a=b,c in (d)"), "a%3Db%2Cc%20in%20%28d%29");
    }
}
