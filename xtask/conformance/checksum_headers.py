"""A wrong digest in a header is refused and nothing is stored; a right one is stored and told again."""

import hashlib

import peer
from peer import is_absent, same

BUCKET = "checksum-headers"
DATA = bytes(range(256)) * 300
REFUSALS = ["BadDigest", "InvalidDigest", "XAmzContentChecksumMismatch", "XAmzContentSHA256Mismatch"]


def header(algorithm):
    return "content-md5" if algorithm == "md5" else f"x-amz-checksum-{algorithm}"


def main():
    s3 = peer.client()
    s3.create_bucket(Bucket=BUCKET)
    for data in [DATA, b"", b"x"]:
        for algorithm in [*peer.ALGORITHMS, "md5"]:
            check_one(s3, algorithm, data)
    key = "payload-hash"
    wrong = hashlib.sha256(b"another body").hexdigest()
    expect_refusal(s3, key, peer.put_signed(f"/{BUCKET}/{key}", DATA, {}, payload=wrong))
    for header_name, value in [("content-md5", "not base64!"), ("x-amz-checksum-crc32", "AAAA")]:
        status, text = peer.put_signed(f"/{BUCKET}/malformed", DATA, {header_name: value})
        peer.require(status == 400 and is_absent(s3, BUCKET, "malformed"), f"{header_name}: {value}: {status} {text}")


def check_one(s3, algorithm, data):
    key = f"{algorithm}-{len(data)}"
    path = f"/{BUCKET}/{key}"
    wrong = {header(algorithm): peer.checksum(algorithm, data + b"!")}
    expect_refusal(s3, key, peer.put_signed(path, data, wrong))
    s3.put_object(Bucket=BUCKET, Key=key, Body=b"old")
    status, _ = peer.put_signed(path, data, wrong)
    same(status, 400, f"status of a wrong {algorithm} over an object")
    same(s3.get_object(Bucket=BUCKET, Key=key)["Body"].read(), b"old", f"the object under a wrong {algorithm}")
    right = peer.checksum(algorithm, data)
    status, text = peer.put_signed(path, data, {header(algorithm): right})
    same(status, 200, f"status of a right {algorithm} ({text})")
    head = s3.head_object(Bucket=BUCKET, Key=key, ChecksumMode="ENABLED")
    if algorithm != "md5":
        same(head.get("Checksum" + algorithm.upper()), right, f"{algorithm} told by HEAD")
        same(head.get("ChecksumType"), "FULL_OBJECT", f"type of {algorithm} told by HEAD")
    same(head["ETag"].strip('"'), hashlib.md5(data).hexdigest(), "the ETag of a single-part object")


def expect_refusal(s3, key, answer):
    status, text = answer
    peer.require(status == 400 and any(code in text for code in REFUSALS), f"{key}: answered {status} {text}")
    peer.require(is_absent(s3, BUCKET, key), f"{key}: the refused body was stored")


main()
