//! Multipart uploads: what is accepted, what is refused, and what the object then says of itself.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use crate::server_env::{Endpoint, code};
use aws_sdk_s3::types::*;
use bucketwright::hashing::{combine_parts, composite, digest, multipart_etag};
use bucketwright::model::{Algorithm, Checksum};

const PART: usize = 5 << 20;

fn bodies() -> Vec<Vec<u8>> {
    vec![vec![b'a'; PART], vec![b'b'; PART + 3], vec![b'c'; 11]]
}

fn model(algorithm: &ChecksumAlgorithm) -> Algorithm {
    match algorithm {
        ChecksumAlgorithm::Crc32 => Algorithm::Crc32,
        ChecksumAlgorithm::Crc32C => Algorithm::Crc32c,
        ChecksumAlgorithm::Crc64Nvme => Algorithm::Crc64Nvme,
        ChecksumAlgorithm::Sha1 => Algorithm::Sha1,
        ChecksumAlgorithm::Sha256 => Algorithm::Sha256,
        other => panic!("{other:?}"),
    }
}

async fn create(endpoint: &Endpoint, checksum: Option<(ChecksumAlgorithm, ChecksumType)>) -> String {
    let (algorithm, kind) = checksum.unzip();
    let create = endpoint.client.create_multipart_upload().bucket("bucket").key("key");
    let created = create.set_checksum_algorithm(algorithm).set_checksum_type(kind).send().await.unwrap();
    created.upload_id().unwrap().to_owned()
}

/// Sends the parts; answers with what the completion has to name.
async fn send(
    endpoint: &Endpoint,
    id: &str,
    bodies: &[Vec<u8>],
    algorithm: Option<&ChecksumAlgorithm>,
) -> Vec<CompletedPart> {
    let mut parts = Vec::new();
    for (number, body) in (1..).zip(bodies) {
        let part = endpoint.client.upload_part().bucket("bucket").key("key").upload_id(id).part_number(number);
        let part = part.set_checksum_algorithm(algorithm.cloned()).body(body.clone().into()).send().await.unwrap();
        let named = CompletedPart::builder().part_number(number).set_e_tag(part.e_tag.clone());
        let named = named.set_checksum_crc32(part.checksum_crc32).set_checksum_crc32_c(part.checksum_crc32_c);
        let named = named.set_checksum_sha1(part.checksum_sha1).set_checksum_sha256(part.checksum_sha256);
        parts.push(named.set_checksum_crc64_nvme(part.checksum_crc64_nvme).build());
    }
    parts
}

fn completion(
    endpoint: &Endpoint,
    id: &str,
    parts: &[CompletedPart],
) -> aws_sdk_s3::operation::complete_multipart_upload::builders::CompleteMultipartUploadFluentBuilder {
    let upload = CompletedMultipartUpload::builder().set_parts(Some(parts.to_vec())).build();
    endpoint.client.complete_multipart_upload().bucket("bucket").key("key").upload_id(id).multipart_upload(upload)
}

#[tokio::test]
async fn every_kind_of_checksum() {
    let endpoint = Endpoint::with_bucket().await;
    let bodies = bodies();
    let whole = bodies.concat();
    use ChecksumAlgorithm::{Crc32, Crc32C, Crc64Nvme, Sha1, Sha256};
    use ChecksumType::{Composite, FullObject};
    for (algorithm, kind) in [
        (Crc64Nvme, FullObject),
        (Crc32, FullObject),
        (Crc32C, FullObject),
        (Crc32, Composite),
        (Crc32C, Composite),
        (Sha1, Composite),
        (Sha256, Composite),
    ] {
        let id = create(&endpoint, Some((algorithm.clone(), kind.clone()))).await;
        let parts = send(&endpoint, &id, &bodies, Some(&algorithm)).await;
        let done = completion(&endpoint, &id, &parts).mpu_object_size(whole.len().try_into().unwrap());
        let done = done.send().await.unwrap();
        let plain = model(&algorithm);
        let sums: Vec<Checksum> = bodies.iter().map(|body| digest(plain, body)).collect();
        let expected = match kind {
            FullObject => digest(plain, &whole).base64(),
            _ => format!("{}-3", composite(plain, &sums).base64()),
        };
        let head = endpoint.client.head_object().bucket("bucket").key("key").checksum_mode(ChecksumMode::Enabled);
        let head = head.send().await.unwrap();
        let (told, shown) = match algorithm {
            Crc64Nvme => (done.checksum_crc64_nvme(), head.checksum_crc64_nvme()),
            Crc32 => (done.checksum_crc32(), head.checksum_crc32()),
            Crc32C => (done.checksum_crc32_c(), head.checksum_crc32_c()),
            Sha1 => (done.checksum_sha1(), head.checksum_sha1()),
            _ => (done.checksum_sha256(), head.checksum_sha256()),
        };
        assert_eq!((told, shown), (Some(expected.as_str()), Some(expected.as_str())), "{algorithm} {kind}");
        assert_eq!(head.checksum_type(), Some(&kind));
        let md5s: Vec<Checksum> = bodies.iter().map(|body| digest(Algorithm::Md5, body)).collect();
        assert_eq!(head.e_tag().unwrap(), multipart_etag(md5s.iter().map(Checksum::digest)).quoted());
    }
    assert_eq!(endpoint.get("key").await, whole);
}

#[tokio::test]
async fn nothing_asked_gives_a_full_crc64nvme() {
    let endpoint = Endpoint::with_bucket().await;
    let bodies = bodies();
    let id = create(&endpoint, None).await;
    let parts = send(&endpoint, &id, &bodies, None).await;
    let bare: Vec<_> = parts
        .iter()
        .map(|part| {
            CompletedPart::builder().part_number(part.part_number().unwrap()).e_tag(part.e_tag().unwrap()).build()
        })
        .collect();
    completion(&endpoint, &id, &bare).send().await.unwrap();
    let sums: Vec<_> = bodies.iter().map(|body| (digest(Algorithm::Crc64Nvme, body), body.len() as u64)).collect();
    let whole = combine_parts(sums.iter().map(|(sum, len)| (sum, *len))).unwrap().base64();
    let attributes = endpoint.client.get_object_attributes().bucket("bucket").key("key");
    let attributes = attributes
        .object_attributes(ObjectAttributes::Checksum)
        .object_attributes(ObjectAttributes::ObjectParts)
        .object_attributes(ObjectAttributes::ObjectSize)
        .object_attributes(ObjectAttributes::Etag)
        .send()
        .await
        .unwrap();
    assert_eq!(attributes.object_size(), Some((2 * PART + 14).try_into().unwrap()));
    assert!(attributes.e_tag().unwrap().trim_matches('"').ends_with("-3"));
    let checksum = attributes.checksum().unwrap();
    let told = completion(&endpoint, &id, &bare).send().await.unwrap();
    assert_eq!(told.e_tag(), attributes.e_tag(), "asked again, told again");
    assert_eq!(
        (told.checksum_type(), checksum.checksum_type()),
        (Some(&ChecksumType::FullObject), Some(&ChecksumType::FullObject))
    );
    assert_eq!(checksum.checksum_crc64_nvme(), Some(whole.as_str()));
    let parts = attributes.object_parts().unwrap();
    assert_eq!((parts.total_parts_count(), parts.parts().len()), (Some(3), 3));
    let second = endpoint.client.get_object().bucket("bucket").key("key").part_number(2).send().await.unwrap();
    assert_eq!(second.parts_count(), Some(3));
    assert_eq!(second.body.collect().await.unwrap().to_vec(), bodies[1]);
}

#[tokio::test]
async fn wrong_completions_are_refused_and_the_upload_stays() {
    let endpoint = Endpoint::with_bucket().await;
    let bodies = bodies();
    let id = create(&endpoint, Some((ChecksumAlgorithm::Crc64Nvme, ChecksumType::FullObject))).await;
    let parts = send(&endpoint, &id, &bodies, Some(&ChecksumAlgorithm::Crc64Nvme)).await;
    let wrong = digest(Algorithm::Crc64Nvme, b"else").base64();
    let check = async |expected: &str, complete: aws_sdk_s3::operation::complete_multipart_upload::builders::CompleteMultipartUploadFluentBuilder| {
        assert_eq!(code(complete.send().await), expected);
    };
    let swapped = [parts[1].clone(), parts[0].clone(), parts[2].clone()];
    check("InvalidPartOrder 400", completion(&endpoint, &id, &swapped)).await;
    let foreign = [parts[0].clone(), CompletedPart::builder().part_number(7).e_tag("\"x\"").build()];
    check("InvalidPart 400", completion(&endpoint, &id, &foreign)).await;
    let mistaken = CompletedPart::builder().part_number(1).e_tag(parts[1].e_tag().unwrap()).build();
    check("InvalidPart 400", completion(&endpoint, &id, &[mistaken])).await;
    let small_first = [parts[2].clone(), CompletedPart::builder().part_number(4).build()];
    check("EntityTooSmall 400", completion(&endpoint, &id, &small_first)).await;
    check("BadDigest 400", completion(&endpoint, &id, &parts).checksum_crc64_nvme(&wrong)).await;
    check("InvalidRequest 400", completion(&endpoint, &id, &parts).mpu_object_size(5)).await;
    check("InvalidRequest 400", completion(&endpoint, &id, &parts).checksum_type(ChecksumType::Composite)).await;
    check("NoSuchUpload 404", completion(&endpoint, "absent", &parts)).await;
    let head = endpoint.client.head_object().bucket("bucket").key("key").send().await;
    assert_eq!(code(head), "NotFound 404", "nothing is visible before the completion");
    let right = digest(Algorithm::Crc64Nvme, &bodies.concat()).base64();
    check("ok", completion(&endpoint, &id, &parts).checksum_crc64_nvme(right)).await;
}

#[tokio::test]
async fn small_and_wrong_parts() {
    let endpoint = Endpoint::with_bucket().await;
    let id = create(&endpoint, Some((ChecksumAlgorithm::Sha256, ChecksumType::Composite))).await;
    let parts = send(&endpoint, &id, &[b"small".to_vec(), b"last".to_vec()], Some(&ChecksumAlgorithm::Sha256)).await;
    assert_eq!(code(completion(&endpoint, &id, &parts).send().await), "EntityTooSmall 400");
    let bare = CompletedPart::builder().part_number(1).e_tag(parts[0].e_tag().unwrap()).build();
    assert_eq!(code(completion(&endpoint, &id, &[bare]).send().await), "InvalidRequest 400", "its checksum is missing");
    let part = |number| {
        let part = endpoint.client.upload_part().bucket("bucket").key("key").upload_id(&id).part_number(number);
        part.body(b"body".to_vec().into())
    };
    let wrong = part(1).checksum_sha256(digest(Algorithm::Sha256, b"else").base64());
    assert_eq!(code(wrong.send().await), "BadDigest 400");
    let other = part(1).checksum_crc32(digest(Algorithm::Crc32, b"body").base64());
    assert_eq!(code(other.send().await), "InvalidRequest 400", "the upload keeps another algorithm");
    assert_eq!(code(part(0).send().await), "InvalidArgument 400");
    assert_eq!(code(part(10_001).send().await), "InvalidArgument 400");
    assert_eq!(code(part(1).upload_id("absent").send().await), "NoSuchUpload 404");
    let listed = endpoint.client.list_parts().bucket("bucket").key("key").upload_id(&id).send().await.unwrap();
    assert_eq!(listed.parts()[0].checksum_sha256(), Some(digest(Algorithm::Sha256, b"small").base64().as_str()));
    for (algorithm, kind) in
        [(ChecksumAlgorithm::Crc64Nvme, ChecksumType::Composite), (ChecksumAlgorithm::Sha256, ChecksumType::FullObject)]
    {
        let create = endpoint.client.create_multipart_upload().bucket("bucket").key("key");
        let create = create.checksum_algorithm(algorithm).checksum_type(kind).send().await;
        assert_eq!(code(create), "InvalidRequest 400");
    }
}

#[tokio::test]
async fn listing_and_aborting() {
    let endpoint = Endpoint::with_bucket().await;
    let sdk = &endpoint.client;
    let mut ids = Vec::new();
    for key in ["a/1", "a/2", "b", "b"] {
        let created = sdk.create_multipart_upload().bucket("bucket").key(key).send().await.unwrap();
        ids.push((key, created.upload_id().unwrap().to_owned()));
    }
    let mut seen = Vec::new();
    let mut pages = sdk.list_multipart_uploads().bucket("bucket").max_uploads(1);
    loop {
        let page = pages.clone().send().await.unwrap();
        seen.extend(
            page.uploads().iter().map(|one| (one.key().unwrap().to_owned(), one.upload_id().unwrap().to_owned())),
        );
        if page.is_truncated() != Some(true) {
            break;
        }
        pages = pages.set_key_marker(page.next_key_marker).set_upload_id_marker(page.next_upload_id_marker);
    }
    let expected: Vec<_> = ids.iter().map(|(key, id)| ((*key).to_owned(), id.clone())).collect();
    assert_eq!(seen, expected);
    let folded = sdk.list_multipart_uploads().bucket("bucket").delimiter("/").send().await.unwrap();
    assert_eq!(folded.common_prefixes()[0].prefix(), Some("a/"));
    assert_eq!(folded.uploads().len(), 2);

    let (key, id) = &ids[0];
    for number in 1..=3 {
        let part = sdk.upload_part().bucket("bucket").key(*key).upload_id(id).part_number(number);
        part.body(vec![b'x'; 100_000].into()).send().await.unwrap();
    }
    let first = sdk.list_parts().bucket("bucket").key(*key).upload_id(id).max_parts(2).send().await.unwrap();
    assert_eq!(
        (first.parts().len(), first.is_truncated(), first.next_part_number_marker()),
        (2, Some(true), Some("2"))
    );
    let rest = sdk.list_parts().bucket("bucket").key(*key).upload_id(id).part_number_marker("2").send().await.unwrap();
    assert_eq!((rest.parts().len(), rest.is_truncated()), (1, Some(false)));
    let abort = sdk.abort_multipart_upload().bucket("bucket").key(*key).upload_id(id);
    assert_eq!(code(abort.clone().send().await), "ok");
    assert_eq!(code(abort.send().await), "NoSuchUpload 404");
    assert_eq!(endpoint.blob_files(), 0, "the parts' bytes are gone");
}
