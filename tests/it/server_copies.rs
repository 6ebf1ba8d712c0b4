//! Copies inside the endpoint, object tags, and parts copied from objects.

use crate::server_env::{Endpoint, code};
use aws_sdk_s3::types::*;
use bucketwright::hashing::digest;
use bucketwright::model::Algorithm;

#[tokio::test]
async fn copies_take_along_what_they_should() {
    let endpoint = Endpoint::with_bucket().await;
    let sdk = &endpoint.client;
    let body = vec![b'x'; 200_000];
    let put = sdk.put_object().bucket("bucket").key("a b/ü").body(body.clone().into()).content_type("text/csv");
    put.metadata("team", "ml").tagging("k=v").checksum_algorithm(ChecksumAlgorithm::Sha256).send().await.unwrap();
    let copy = sdk.copy_object().bucket("bucket").key("copy").copy_source("bucket/a%20b/%C3%BC");
    let copied = copy.clone().send().await.unwrap();
    let result = copied.copy_object_result().unwrap();
    assert_eq!(result.e_tag().unwrap(), format!("\"{}\"", digest(Algorithm::Md5, &body).hex()));
    assert_eq!(result.checksum_sha256(), Some(digest(Algorithm::Sha256, &body).base64().as_str()));
    let head = sdk.head_object().bucket("bucket").key("copy").send().await.unwrap();
    assert_eq!((head.content_type(), head.metadata().unwrap()["team"].as_str()), (Some("text/csv"), "ml"));
    assert_eq!(endpoint.blob_files(), 1, "source and copy share their bytes");

    let replace = copy.metadata_directive(MetadataDirective::Replace).metadata("new", "1").content_type("text/plain");
    let replace = replace.tagging_directive(TaggingDirective::Replace).tagging("n=1");
    replace.checksum_algorithm(ChecksumAlgorithm::Crc32).send().await.unwrap();
    let head =
        sdk.head_object().bucket("bucket").key("copy").checksum_mode(ChecksumMode::Enabled).send().await.unwrap();
    assert_eq!(head.content_type(), Some("text/plain"));
    assert_eq!(head.metadata().unwrap().keys().collect::<Vec<_>>(), ["new"]);
    assert_eq!(head.checksum_crc32(), Some(digest(Algorithm::Crc32, &body).base64().as_str()));
    let tags = sdk.get_object_tagging().bucket("bucket").key("copy").send().await.unwrap();
    assert_eq!(tags.tag_set()[0].key(), "n");

    sdk.delete_object().bucket("bucket").key("a b/ü").send().await.unwrap();
    assert_eq!(endpoint.get("copy").await, body);
    sdk.delete_object().bucket("bucket").key("copy").send().await.unwrap();
    assert_eq!(endpoint.blob_files(), 0);
}

#[tokio::test]
async fn a_copy_onto_itself_must_change_something() {
    let endpoint = Endpoint::with_bucket().await;
    endpoint.put("key", &[7; 100_000]).await;
    let copy = endpoint.client.copy_object().bucket("bucket").key("key").copy_source("bucket/key");
    assert_eq!(code(copy.clone().send().await), "InvalidRequest 400");
    let replace = copy.metadata_directive(MetadataDirective::Replace).metadata("a", "b");
    assert_eq!(code(replace.send().await), "ok");
    assert_eq!(endpoint.get("key").await, [7; 100_000]);
}

#[tokio::test]
async fn copies_under_conditions() {
    let endpoint = Endpoint::with_bucket().await;
    endpoint.put("source", b"body").await;
    endpoint.put("taken", b"other").await;
    let tag = format!("\"{}\"", digest(Algorithm::Md5, b"body").hex());
    let copy = || endpoint.client.copy_object().bucket("bucket").key("new").copy_source("bucket/source");
    assert_eq!(code(copy().copy_source_if_match("\"else\"").send().await), "PreconditionFailed 412");
    assert_eq!(code(copy().copy_source_if_none_match(&tag).send().await), "PreconditionFailed 412");
    assert_eq!(code(copy().copy_source_if_match(&tag).send().await), "ok");
    assert_eq!(code(copy().copy_source("bucket/absent").send().await), "NoSuchKey 404");
    assert_eq!(code(copy().copy_source("absent/source").send().await), "NoSuchBucket 404");
    assert_eq!(code(copy().key("taken").if_none_match("*").send().await), "PreconditionFailed 412");
    assert_eq!(code(copy().key("taken").if_match(&tag).send().await), "PreconditionFailed 412");
    assert_eq!(endpoint.get("taken").await, b"other");
}

#[tokio::test]
async fn parts_can_be_copied() {
    let endpoint = Endpoint::with_bucket().await;
    let sdk = &endpoint.client;
    let body: Vec<u8> = (0..6_000_000_u32).map(|at| (at % 251) as u8).collect();
    endpoint.put("source", &body).await;
    let created = sdk.create_multipart_upload().bucket("bucket").key("key").send().await.unwrap();
    let id = created.upload_id().unwrap();
    let mut parts = Vec::new();
    for (number, range) in [(1, "bytes=0-5242879"), (2, "bytes=5242880-5999999")] {
        let part = sdk.upload_part_copy().bucket("bucket").key("key").upload_id(id).part_number(number);
        let part = part.copy_source("bucket/source").copy_source_range(range).send().await.unwrap();
        let result = part.copy_part_result().unwrap();
        let named = CompletedPart::builder().part_number(number).e_tag(result.e_tag().unwrap());
        let named = named.set_checksum_crc64_nvme(result.checksum_crc64_nvme().map(str::to_owned));
        parts.push(named.set_checksum_crc32(result.checksum_crc32().map(str::to_owned)).build());
    }
    let beyond = sdk.upload_part_copy().bucket("bucket").key("key").upload_id(id).part_number(3);
    let beyond = beyond.copy_source("bucket/source").copy_source_range("bytes=0-6000000").send().await;
    assert_eq!(code(beyond), "InvalidArgument 400");
    let upload = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
    let complete = sdk.complete_multipart_upload().bucket("bucket").key("key").upload_id(id).multipart_upload(upload);
    complete.send().await.unwrap();
    assert_eq!(endpoint.get("key").await, body);
    let ranged = sdk.get_object().bucket("bucket").key("key").range("bytes=5242870-5242889").send().await.unwrap();
    assert_eq!(ranged.body.collect().await.unwrap().to_vec(), body[5_242_870..5_242_890], "across the parts");

    let copied = sdk.copy_object().bucket("bucket").key("flat").copy_source("bucket/key").send().await.unwrap();
    let tag = copied.copy_object_result().unwrap().e_tag().unwrap().to_owned();
    assert_eq!(tag, format!("\"{}\"", digest(Algorithm::Md5, &body).hex()), "a copy is in one piece");
}

#[tokio::test]
async fn tags_of_objects() {
    let endpoint = Endpoint::with_bucket().await;
    let sdk = &endpoint.client;
    endpoint.put("key", b"body").await;
    let tag = |key: &str| Tag::builder().key(key).value("v").build().unwrap();
    let tagging = Tagging::builder().tag_set(tag("a")).tag_set(tag("b")).build().unwrap();
    sdk.put_object_tagging().bucket("bucket").key("key").tagging(tagging).send().await.unwrap();
    let found = sdk.get_object_tagging().bucket("bucket").key("key").send().await.unwrap();
    assert_eq!(found.tag_set(), [tag("a"), tag("b")]);
    let got = sdk.get_object().bucket("bucket").key("key").send().await.unwrap();
    assert_eq!(got.tag_count(), Some(2));
    sdk.delete_object_tagging().bucket("bucket").key("key").send().await.unwrap();
    let found = sdk.get_object_tagging().bucket("bucket").key("key").send().await.unwrap();
    assert!(found.tag_set().is_empty());
    let many = (0..11).map(|number| tag(&number.to_string())).collect();
    let many = Tagging::builder().set_tag_set(Some(many)).build().unwrap();
    let put = sdk.put_object_tagging().bucket("bucket").key("key").tagging(many).send().await;
    assert_eq!(code(put), "InvalidTag 400");
    let twice = Tagging::builder().tag_set(tag("a")).tag_set(tag("a")).build().unwrap();
    let put = sdk.put_object_tagging().bucket("bucket").key("key").tagging(twice).send().await;
    assert_eq!(code(put), "InvalidTag 400");
}
