//! Deletes with the real SDK client: only the very object that was seen, and a word on every key.

use crate::server_env::{Endpoint, client_over};
use crate::wire::{Answer, bucket, key, listened, tampered};
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use bucketwright::apply::transfer::{TransferOptions, upload_all};
use bucketwright::aws::s3::{Doomed, ErrorClass, Store};
use bucketwright::model::{Algorithm, ETag};
use bucketwright::plan::{Action, Delete, Reason, Step};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

async fn seen(endpoint: &Endpoint, name: &str) -> Doomed {
    let head = endpoint.client.head_object().bucket("bucket").key(name).send().await.unwrap();
    Doomed { key: key(name), etag: head.e_tag().map(ETag::new) }
}

async fn left(endpoint: &Endpoint) -> Vec<String> {
    let listed = endpoint.client.list_objects_v2().bucket("bucket").send().await.unwrap();
    listed.contents().iter().filter_map(|object| object.key().map(str::to_owned)).collect()
}

async fn classes(store: &Store, doomed: &[Doomed]) -> Vec<Result<(), ErrorClass>> {
    let results = store.delete_objects(&bucket(), doomed).await.unwrap();
    results.into_iter().map(|result| result.map_err(|error| error.class)).collect()
}

#[tokio::test]
async fn each_key_has_its_own_condition_and_result() {
    let endpoint = Endpoint::with_bucket().await;
    let (store, log) = listened(&endpoint);
    let mut doomed = Vec::new();
    for name in ["a", "b&<c>", "changed", "gone", "line\nreturn\r", "é"] {
        endpoint.put(name, name.as_bytes()).await;
        doomed.push(seen(&endpoint, name).await);
    }
    endpoint.put("changed", b"by somebody else").await;
    endpoint.client.delete_object().bucket("bucket").key("gone").send().await.unwrap();
    endpoint.put("kept", b"").await;
    let refused = Err(ErrorClass::Precondition);
    let found = classes(&store, &doomed).await;
    assert_eq!(found[..3], [Ok(()), Ok(()), refused]);
    assert_eq!(found[4..], [Ok(()), Ok(())]);
    assert_eq!(left(&endpoint).await, ["changed", "kept"]);
    assert_eq!((log.count("DeleteObjects"), log.requests().len()), (1, 1));
    assert_eq!(classes(&store, &[]).await, []);
}

#[tokio::test]
async fn keys_that_xml_cannot_carry_go_one_by_one() {
    let endpoint = Endpoint::with_bucket().await;
    let (store, log) = listened(&endpoint);
    let mut doomed = Vec::new();
    for name in ["plain", "bell\u{7}", "escape\u{1b}[0m"] {
        endpoint.put(name, b"x").await;
        let etag = (name == "plain").then(|| ETag::new("9dd4e461268c8034f5c8564e155c67a6"));
        doomed.push(Doomed { key: key(name), etag });
    }
    assert_eq!(classes(&store, &doomed).await, [Ok(()), Ok(()), Ok(())]);
    assert_eq!((log.count("DeleteObjects"), log.count("DeleteObject")), (1, 2));
    assert_eq!(left(&endpoint).await, [""; 0]);
}

#[tokio::test]
async fn a_key_that_the_answer_leaves_out_is_no_success() {
    let endpoint = Endpoint::with_bucket().await;
    for name in ["a", "b"] {
        endpoint.put(name, b"x").await;
    }
    let doomed = [seen(&endpoint, "a").await, seen(&endpoint, "b").await];
    let (store, _) = tampered(
        &endpoint,
        |_| None,
        |_, answer| {
            let xml = answer.xml.take().unwrap();
            let (start, end) = (xml.find("<Deleted>").unwrap(), xml.find("</Deleted>").unwrap() + "</Deleted>".len());
            answer.xml = Some(format!("{}{}", &xml[..start], &xml[end..]));
        },
    );
    let found = classes(&store, &doomed).await;
    assert_eq!(found.iter().filter(|result| result.is_ok()).count(), 1);
    assert!(found.contains(&Err(ErrorClass::NotS3)), "{found:?}");
    let (store, _) = tampered(&endpoint, |_| Some(Answer::error(200, "InternalError")), |_, _| {});
    assert!(store.delete_objects(&bucket(), &doomed).await.is_err());
}

#[tokio::test]
async fn one_by_one_and_after_a_look() {
    let endpoint = Endpoint::with_bucket().await;
    let (store, _) = listened(&endpoint);
    endpoint.put("a", b"x").await;
    let old = seen(&endpoint, "a").await;
    endpoint.put("a", b"y").await;
    let error = store.delete_object(&bucket(), &old.key, None, old.etag.as_ref()).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Precondition);
    let error = store.delete_after_look(&bucket(), &old).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Precondition);
    assert_eq!(left(&endpoint).await, ["a"]);
    let now = seen(&endpoint, "a").await;
    store.delete_after_look(&bucket(), &now).await.unwrap();
    store.delete_after_look(&bucket(), &now).await.unwrap();
    assert_eq!(left(&endpoint).await, [""; 0]);
}

/// An endpoint that never answers, and tells when it is asked.
#[derive(Debug, Clone)]
struct Silent(Arc<Notify>);

impl HttpConnector for Silent {
    fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
        self.0.notify_one();
        HttpConnectorFuture::new(std::future::pending())
    }
}

#[tokio::test]
async fn deletes_that_nobody_answers_are_left_when_the_user_stops() {
    for together in [true, false] {
        let asked = Arc::new(Notify::new());
        let connector = SharedHttpConnector::new(Silent(Arc::clone(&asked)));
        let http = http_client_fn(move |_, _| connector.clone());
        let store = Store::new(client_over(http, "http://localhost", "AKIDEXAMPLE", "secret"), None, false);
        let store = if together { store.with_delete_conditions() } else { store };
        let delete = |name: &str| {
            let step = Step::Delete(Delete { key: key(name), size_bytes: 1, etag: Some(ETag::new("e")) });
            Action { bucket: bucket(), step, reason: Reason::NotInSource }
        };
        let (cancel, (events, _heard)) = (CancellationToken::new(), mpsc::channel(100));
        let options = TransferOptions::with_checksum(Algorithm::Crc64Nvme);
        let deleting = upload_all(&store, vec![delete("a"), delete("b")], &options, &events, &cancel);
        let stopping = async {
            asked.notified().await;
            cancel.cancel();
        };
        let both = async { tokio::join!(deleting, stopping).0 };
        let ended = tokio::time::timeout(Duration::from_secs(10), both).await.expect("it ends");
        assert_eq!((ended.cancelled, ended.failed), (2, 0), "together: {together}");
    }
}
