//! Objects through the SDK: what is put comes back, in whole and in parts.

use crate::server_env::{Endpoint, code};
use aws_sdk_s3::types::{ChecksumMode, ChecksumType, Delete, ObjectIdentifier};
use bucketwright::hashing::digest;
use bucketwright::model::Algorithm;

fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut noise = Vec::with_capacity(bytes);
    while noise.len() < bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        noise.extend_from_slice(&state.to_le_bytes());
    }
    noise.truncate(bytes);
    noise
}

#[tokio::test]
async fn bodies_of_all_sizes_come_back() {
    let endpoint = Endpoint::with_bucket().await;
    for size in [0, 1, 4096, 65_536, 65_537, 1 << 20, (3 << 20) + 7] {
        let body = noise(size);
        let put = endpoint.client.put_object().bucket("bucket").key("key").body(body.clone().into());
        let put = put.send().await.unwrap();
        assert_eq!(put.e_tag().unwrap(), format!("\"{}\"", digest(Algorithm::Md5, &body).hex()), "{size}");
        assert_eq!(endpoint.get("key").await, body, "{size}");
        let head = endpoint.client.head_object().bucket("bucket").key("key").send().await.unwrap();
        assert_eq!((head.content_length(), head.e_tag()), (i64::try_from(size).ok(), put.e_tag()));
    }
}

#[tokio::test]
async fn ranges() {
    let endpoint = Endpoint::with_bucket().await;
    for size in [10_usize, 200_000] {
        let body = noise(size);
        endpoint.put("key", &body).await;
        for (range, expected) in [
            ("bytes=0-4", Some(0..5)),
            ("bytes=3-", Some(3..size)),
            ("bytes=-3", Some(size - 3..size)),
            ("bytes=5-99999999", Some(5..size)),
            ("bytes=99999999-", None),
        ] {
            let got = endpoint.client.get_object().bucket("bucket").key("key").range(range);
            let got = got.checksum_mode(ChecksumMode::Enabled).send().await;
            let Some(expected) = expected else {
                assert_eq!(code(got), "InvalidRange 416");
                continue;
            };
            let got = got.unwrap();
            let shown = format!("bytes {}-{}/{size}", expected.start, expected.end - 1);
            assert_eq!(got.content_range(), Some(shown.as_str()));
            assert_eq!(got.checksum_crc64_nvme(), None, "a checksum of the whole says nothing of a part");
            assert_eq!(got.body.collect().await.unwrap().to_vec(), body[expected], "{range}");
        }
    }
}

#[tokio::test]
async fn headers_and_metadata_come_back() {
    let endpoint = Endpoint::with_bucket().await;
    let put = endpoint.client.put_object().bucket("bucket").key("key").body(b"x".to_vec().into());
    let put = put.content_type("text/csv").content_encoding("gzip").cache_control("no-cache");
    let put =
        put.content_disposition("inline").metadata("team", "ml").metadata("note", "a b").metadata("name", "Zoë 漢字");
    put.tagging("k=v%20w&l=").send().await.unwrap();
    let head = endpoint.client.head_object().bucket("bucket").key("key").checksum_mode(ChecksumMode::Enabled);
    let head = head.send().await.unwrap();
    assert_eq!(head.content_type(), Some("text/csv"));
    assert_eq!(head.content_encoding(), Some("gzip"));
    assert_eq!(head.cache_control(), Some("no-cache"));
    assert_eq!(head.content_disposition(), Some("inline"));
    assert_eq!(head.metadata().unwrap()["team"], "ml");
    assert_eq!(head.metadata().unwrap()["note"], "a b");
    assert!(head.metadata().unwrap()["name"].starts_with("=?UTF-8?"), "as S3 spells what is not ASCII");
    assert_eq!(head.server_side_encryption().unwrap().as_str(), "AES256");
    assert_eq!(head.checksum_type(), Some(&ChecksumType::FullObject));
    endpoint.put("bare", b"").await;
    let head = endpoint.client.head_object().bucket("bucket").key("bare").send().await.unwrap();
    assert_eq!((head.content_type(), head.content_encoding()), (Some("application/octet-stream"), None));
}

#[tokio::test]
async fn deleting() {
    let endpoint = Endpoint::with_bucket().await;
    let sdk = &endpoint.client;
    for key in ["a", "a/", "a/b"] {
        endpoint.put(key, key.as_bytes()).await;
    }
    assert_eq!(code(sdk.delete_object().bucket("bucket").key("a/").send().await), "ok");
    assert_eq!(code(sdk.delete_object().bucket("bucket").key("absent").send().await), "ok");
    assert_eq!(code(sdk.get_object().bucket("bucket").key("a/").send().await), "NoSuchKey 404");
    assert_eq!(endpoint.get("a/b").await, b"a/b");
    let keys = ["a", "a/b", "absent", "odd & <key>"];
    let objects = keys.iter().map(|key| ObjectIdentifier::builder().key(*key).build().unwrap()).collect();
    let delete = Delete::builder().set_objects(Some(objects)).build().unwrap();
    let deleted = sdk.delete_objects().bucket("bucket").delete(delete).send().await.unwrap();
    let found: Vec<_> = deleted.deleted().iter().filter_map(|one| one.key()).collect();
    assert_eq!(found, keys);
    assert!(sdk.list_objects_v2().bucket("bucket").send().await.unwrap().contents().is_empty());
}
