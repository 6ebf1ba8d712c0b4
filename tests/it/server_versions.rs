//! Versions: random operations held against a plain model, and what clients are told along the way.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use crate::server_env::{Endpoint, client, code, open};
use aws_sdk_s3::Client;
use aws_sdk_s3::types::{BucketVersioningStatus, VersioningConfiguration};
use proptest::collection::vec;
use proptest::prelude::{Strategy, any, prop_oneof};
use proptest::test_runner::{Config, TestRunner};
use std::collections::BTreeMap;

#[derive(Debug, Clone)]
enum Step {
    Versioning(bool),
    Put { key: u8, large: bool },
    Delete { key: u8 },
    DeleteVersion { key: u8, which: usize },
    Copy { from: u8, to: u8 },
    Reopen,
}

/// One version: its id as the server told it, and its body; none for a delete marker.
type Version = (String, Option<Vec<u8>>);

/// The newest version of each key is the last.
#[derive(Debug, Default)]
struct Model {
    versioning: Option<bool>,
    keys: BTreeMap<String, Vec<Version>>,
}

impl Model {
    fn add(&mut self, key: &str, id: Option<&str>, body: Option<Vec<u8>>) {
        let versions = self.keys.entry(key.to_owned()).or_default();
        let id = if self.versioning == Some(true) { id.unwrap().to_owned() } else { "null".to_owned() };
        versions.retain(|(known, _)| *known != id);
        versions.push((id, body));
    }

    fn body(&self, key: &str) -> Option<&Vec<u8>> {
        self.keys.get(key)?.last()?.1.as_ref()
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let key = 0..3_u8;
    let step = prop_oneof![
        2 => any::<bool>().prop_map(Step::Versioning),
        6 => (key.clone(), any::<bool>()).prop_map(|(key, large)| Step::Put { key, large }),
        3 => key.clone().prop_map(|key| Step::Delete { key }),
        3 => (key.clone(), 0..4_usize).prop_map(|(key, which)| Step::DeleteVersion { key, which }),
        2 => (key.clone(), key).prop_map(|(from, to)| Step::Copy { from, to }),
        1 => any::<()>().prop_map(|()| Step::Reopen),
    ];
    vec(step, 1..30)
}

async fn set_versioning(sdk: &Client, enabled: bool) {
    let status = if enabled { BucketVersioningStatus::Enabled } else { BucketVersioningStatus::Suspended };
    let wanted = VersioningConfiguration::builder().status(status).build();
    sdk.put_bucket_versioning().bucket("bucket").versioning_configuration(wanted).send().await.unwrap();
}

async fn carry_out(sdk: &Client, model: &mut Model, at: usize, step: &Step) {
    let name = |key: &u8| format!("key/{key}");
    match step {
        Step::Versioning(enabled) => {
            set_versioning(sdk, *enabled).await;
            model.versioning = Some(*enabled);
        }
        Step::Put { key, large } => {
            let body = vec![u8::try_from(at).unwrap(); if *large { 70_000 } else { at }];
            let put = sdk.put_object().bucket("bucket").key(name(key)).body(body.clone().into()).send().await.unwrap();
            assert_eq!(put.version_id().is_some(), model.versioning == Some(true));
            model.add(&name(key), put.version_id(), Some(body));
        }
        Step::Delete { key } => {
            let gone = sdk.delete_object().bucket("bucket").key(name(key)).send().await.unwrap();
            if model.versioning.is_none() {
                model.keys.remove(&name(key));
            } else {
                assert_eq!(gone.delete_marker(), Some(true));
                model.add(&name(key), gone.version_id(), None);
            }
        }
        Step::DeleteVersion { key, which } => {
            let Some(versions) = model.keys.get_mut(&name(key)) else { return };
            if versions.is_empty() {
                return;
            }
            let (id, body) = versions.remove(which % versions.len());
            let gone = sdk.delete_object().bucket("bucket").key(name(key)).version_id(&id).send().await.unwrap();
            assert_eq!((gone.version_id(), gone.delete_marker().unwrap_or(false)), (Some(id.as_str()), body.is_none()));
        }
        Step::Copy { from, to } => {
            let copy = sdk.copy_object().bucket("bucket").key(name(to)).copy_source(format!("bucket/{}", name(from)));
            let copied = copy.send().await;
            match model.body(&name(from)).cloned() {
                None => assert_eq!(code(copied), "NoSuchKey 404"),
                Some(_) if from == to => assert_eq!(code(copied), "InvalidRequest 400"),
                Some(body) => model.add(&name(to), copied.unwrap().version_id(), Some(body)),
            }
        }
        Step::Reopen => {}
    }
}

/// Everything a client can see, against the model.
async fn compare(sdk: &Client, model: &Model, page: i32) {
    for (key, versions) in &model.keys {
        let got = sdk.get_object().bucket("bucket").key(key).send().await;
        match model.body(key) {
            Some(body) => assert_eq!(&got.unwrap().body.collect().await.unwrap().to_vec(), body),
            None => assert_eq!(code(got), "NoSuchKey 404"),
        }
        for (id, body) in versions {
            let got = sdk.get_object().bucket("bucket").key(key).version_id(id).send().await;
            match body {
                Some(body) => assert_eq!(&got.unwrap().body.collect().await.unwrap().to_vec(), body),
                None => assert_eq!(code(got), "MethodNotAllowed 405"),
            }
        }
    }
    let listed = sdk.list_objects_v2().bucket("bucket").send().await.unwrap();
    let listed: Vec<&str> = listed.contents().iter().filter_map(|object| object.key()).collect();
    let live: Vec<&str> = model.keys.keys().map(String::as_str).filter(|key| model.body(key).is_some()).collect();
    assert_eq!(listed, live);
    let mut expected = Vec::new();
    for (key, versions) in &model.keys {
        let newest = versions.len().saturating_sub(1);
        let shown = versions.iter().enumerate().rev();
        expected.extend(shown.map(|(at, (id, body))| (key.clone(), id.clone(), body.is_none(), at == newest)));
    }
    assert_eq!(all_versions(sdk, page).await, expected);
}

/// Key, version id, whether a delete marker, whether the latest; within a page versions come before markers.
async fn all_versions(sdk: &Client, page: i32) -> Vec<(String, String, bool, bool)> {
    let mut seen = Vec::new();
    let mut request = sdk.list_object_versions().bucket("bucket").max_keys(page);
    loop {
        let page = request.clone().send().await.unwrap();
        let versions = page.versions().iter().map(|one| (one.key(), one.version_id(), false, one.is_latest()));
        let markers = page.delete_markers().iter().map(|one| (one.key(), one.version_id(), true, one.is_latest()));
        for (key, id, marker, latest) in versions.chain(markers) {
            seen.push((key.unwrap().to_owned(), id.unwrap().to_owned(), marker, latest.unwrap()));
        }
        if page.is_truncated() != Some(true) {
            break;
        }
        request = request.set_key_marker(page.next_key_marker).set_version_id_marker(page.next_version_id_marker);
    }
    seen
}

#[test]
fn random_operations_do_what_the_model_does() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut runner = TestRunner::new(Config { cases: 16, failure_persistence: None, ..Config::default() });
    let run = |steps: Vec<Step>| {
        runtime.block_on(async {
            let Endpoint { folder, mut server, client: mut sdk } = Endpoint::with_bucket().await;
            let mut model = Model::default();
            for (at, step) in steps.iter().enumerate() {
                if matches!(step, Step::Reopen) {
                    drop((server, sdk));
                    server = open(folder.path());
                    sdk = client(&server, server.secret_key());
                }
                carry_out(&sdk, &mut model, at, step).await;
            }
            // With pages of one, the order of versions and markers is seen too.
            compare(&sdk, &model, 1).await;
        });
        Ok(())
    };
    runner.run(&steps(), run).unwrap();
}

#[tokio::test]
async fn deleting_every_version_leaves_nothing() {
    let endpoint = Endpoint::with_bucket().await;
    let sdk = &endpoint.client;
    set_versioning(sdk, true).await;
    for round in 0..3_u8 {
        endpoint.put("key", &[round; 100_000]).await;
        sdk.delete_object().bucket("bucket").key("key").send().await.unwrap();
    }
    let head = sdk.head_object().bucket("bucket").key("key").send().await.unwrap_err();
    assert_eq!(head.raw_response().unwrap().headers().get("x-amz-delete-marker"), Some("true"));
    assert_eq!(endpoint.blob_files(), 3);
    for (key, id, _, _) in all_versions(sdk, 1000).await {
        sdk.delete_object().bucket("bucket").key(key).version_id(id).send().await.unwrap();
    }
    assert_eq!((all_versions(sdk, 1000).await.len(), endpoint.blob_files()), (0, 0));
    sdk.delete_bucket().bucket("bucket").send().await.unwrap();
}

#[tokio::test]
async fn version_ids_are_checked() {
    let endpoint = Endpoint::with_bucket().await;
    endpoint.put("key", b"body").await;
    let get = |id: &str| endpoint.client.get_object().bucket("bucket").key("key").version_id(id).send();
    assert_eq!(code(get("null").await), "ok");
    assert_eq!(code(get("nonsense").await), "InvalidArgument 400");
    assert_eq!(code(get(&"0".repeat(32)).await), "NoSuchVersion 404");
    let absent = endpoint.client.delete_object().bucket("bucket").key("key").version_id("0".repeat(32)).send().await;
    assert_eq!(code(absent), "ok", "what is gone is gone");
}
