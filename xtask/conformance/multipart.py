"""Uploads in parts: what is checked at each part and at the end, what is listed on the way, and what an abort leaves."""

import base64
import hashlib

import peer
from peer import is_absent, refused, same

BUCKET = "multipart"
PARTS = [bytes([65 + number]) * (5 << 20) for number in range(2)] + [b"the last part may be small"]
WHOLE = b"".join(PARTS)
DIGESTS = ["BadDigest", "InvalidDigest", "XAmzContentChecksumMismatch", "InvalidPart", "InvalidRequest"]


def start(s3, key, **options):
    return {"Bucket": BUCKET, "Key": key, "UploadId": s3.create_multipart_upload(Bucket=BUCKET, Key=key, **options)["UploadId"]}


def send(s3, upload, algorithm=None, parts=PARTS):
    """Uploads the parts; their list as CompleteMultipartUpload wants it."""
    listed = []
    for number, body in enumerate(parts, 1):
        field = {f"Checksum{algorithm}": peer.checksum(algorithm.lower(), body)} if algorithm else {}
        answer = s3.upload_part(PartNumber=number, Body=body, **upload, **field)
        listed.append({"PartNumber": number, "ETag": answer["ETag"], **field})
    return {"Parts": listed}


def main():
    s3 = peer.client()
    s3.create_bucket(Bucket=BUCKET)
    plain(s3)
    listings(s3)
    mistakes(s3)
    composite(s3, "SHA256")
    composite(s3, "CRC32C")
    full_object(s3)
    same(s3.list_multipart_uploads(Bucket=BUCKET).get("Uploads"), None, "open uploads at the end")


def plain(s3):
    upload = start(s3, "plain", Metadata={"who": "me"}, ContentType="text/plain")
    listed = send(s3, upload)
    peer.require(is_absent(s3, BUCKET, "plain"), "an unfinished upload is listed as an object")
    s3.complete_multipart_upload(MultipartUpload=listed, **upload)
    found = s3.get_object(Bucket=BUCKET, Key="plain")
    same((found["Metadata"], found["ContentType"]), ({"who": "me"}, "text/plain"), "metadata of the upload")
    same(found["Body"].read() == WHOLE, True, "the body is the parts in order")
    parts = b"".join(hashlib.md5(part).digest() for part in PARTS)
    same(found["ETag"], f'"{hashlib.md5(parts).hexdigest()}-3"', "the ETag")


def listings(s3):
    upload = start(s3, "listed")
    listed = send(s3, upload)["Parts"]
    pages = s3.get_paginator("list_parts").paginate(**upload, PaginationConfig={"PageSize": 2})
    found = [part for page in pages for part in page["Parts"]]
    same([(part["PartNumber"], part["Size"]) for part in found], [(n, len(p)) for n, p in enumerate(PARTS, 1)], "parts")
    same([part["ETag"] for part in found], [part["ETag"] for part in listed], "ETags of the parts")
    second = start(s3, "listed")
    open_uploads = s3.list_multipart_uploads(Bucket=BUCKET, Prefix="listed")["Uploads"]
    same(sorted(one["UploadId"] for one in open_uploads), sorted([upload["UploadId"], second["UploadId"]]), "uploads")
    for one in [upload, second]:
        s3.abort_multipart_upload(**one)
    refused(lambda: s3.list_parts(**upload), ["NoSuchUpload"], "ListParts after the abort")
    refused(lambda: s3.upload_part(PartNumber=1, Body=b"x", **upload), ["NoSuchUpload"], "a part after the abort")


def mistakes(s3):
    upload = start(s3, "mistakes")
    parts = send(s3, upload)["Parts"]
    wrong = [{**parts[0], "ETag": '"00000000000000000000000000000000"'}, *parts[1:]]
    for listed, code in [
        (wrong, "InvalidPart"),
        ([*parts[:2], {"PartNumber": 9, "ETag": parts[0]["ETag"]}], "InvalidPart"),
        (parts[::-1], "InvalidPartOrder"),
        ([], "MalformedXML"),
    ]:
        complete = {"MultipartUpload": {"Parts": listed}, **upload}
        refused(lambda: s3.complete_multipart_upload(**complete), [code, "InvalidRequest"], f"completion with {code}")
    digest = {"ContentMD5": peer.checksum("md5", b"other")}
    refused(lambda: s3.upload_part(PartNumber=1, Body=b"x", **digest, **upload), DIGESTS, "a part with a wrong MD5")
    digest = {"ChecksumCRC32": peer.checksum("crc32", b"other")}
    refused(lambda: s3.upload_part(PartNumber=1, Body=b"x", **digest, **upload), DIGESTS, "a part with a wrong CRC32")
    complete = {"MultipartUpload": {"Parts": parts}, **upload}
    s3.put_object(Bucket=BUCKET, Key="mistakes", Body=b"was first")
    refused(lambda: s3.complete_multipart_upload(IfNoneMatch="*", **complete), ["PreconditionFailed"], "a late completion")
    s3.complete_multipart_upload(**complete)
    same(s3.head_object(Bucket=BUCKET, Key="mistakes")["ContentLength"], len(WHOLE), "the mended upload")
    upload = start(s3, "small")
    listed = send(s3, upload, parts=[b"too small", b"last"])
    refused(lambda: s3.complete_multipart_upload(MultipartUpload=listed, **upload), ["EntityTooSmall"], "a small part")
    s3.abort_multipart_upload(**upload)


def composite(s3, algorithm):
    """The checksum of the parts' checksums, with the number of parts behind it."""
    key = f"composite-{algorithm}"
    upload = start(s3, key, ChecksumAlgorithm=algorithm, ChecksumType="COMPOSITE")
    listed = send(s3, upload, algorithm)
    joined = b"".join(base64.b64decode(part[f"Checksum{algorithm}"]) for part in listed["Parts"])
    wanted = f"{peer.checksum(algorithm.lower(), joined)}-3"
    answer = s3.complete_multipart_upload(MultipartUpload=listed, **upload)
    same((answer.get(f"Checksum{algorithm}"), answer.get("ChecksumType")), (wanted, "COMPOSITE"), f"{key} told")
    head = s3.head_object(Bucket=BUCKET, Key=key, ChecksumMode="ENABLED")
    same(head.get(f"Checksum{algorithm}"), wanted, f"{key} told by HEAD")
    seen = s3.get_object_attributes(Bucket=BUCKET, Key=key, ObjectAttributes=["Checksum", "ObjectParts", "ObjectSize"])
    same((seen["ObjectSize"], seen["ObjectParts"]["TotalPartsCount"]), (len(WHOLE), 3), f"attributes of {key}")


def full_object(s3):
    """The checksum of the whole, whatever the parts, and its size."""
    right = peer.checksum("crc64nvme", WHOLE)
    for key, value, size in [("wrong", peer.checksum("crc64nvme", b"other"), len(WHOLE)), ("size", right, 1)]:
        upload = start(s3, key, ChecksumAlgorithm="CRC64NVME", ChecksumType="FULL_OBJECT")
        last = {"MultipartUpload": send(s3, upload, "CRC64NVME"), "ChecksumType": "FULL_OBJECT", **upload}
        complete = {"ChecksumCRC64NVME": value, "MpuObjectSize": size, **last}
        refused(lambda: s3.complete_multipart_upload(**complete), DIGESTS, f"completion with a {key} that is not right")
        peer.require(is_absent(s3, BUCKET, key), "a refused completion made an object")
        answer = s3.complete_multipart_upload(ChecksumCRC64NVME=right, MpuObjectSize=len(WHOLE), **last)
        same((answer["ChecksumCRC64NVME"], answer["ChecksumType"]), (right, "FULL_OBJECT"), "full-object checksum")
    head = s3.head_object(Bucket=BUCKET, Key="wrong", ChecksumMode="ENABLED")
    same(head.get("ChecksumCRC64NVME"), right, "full-object checksum told by HEAD")


main()
