"""Ranges, parts and conditions of GET and HEAD."""

import datetime

import peer
from peer import refused, same

BUCKET = "ranges"
BODY = bytes(range(256)) * 400


def main():
    s3 = peer.client()
    s3.create_bucket(Bucket=BUCKET)
    etag = s3.put_object(Bucket=BUCKET, Key="object", Body=BODY)["ETag"]
    s3.put_object(Bucket=BUCKET, Key="empty", Body=b"")
    size = len(BODY)
    last = f"{size - 1}/{size}"
    for wanted, start, end, said in [
        ("bytes=0-0", 0, 1, f"bytes 0-0/{size}"),
        ("bytes=0-9", 0, 10, f"bytes 0-9/{size}"),
        ("bytes=70000-70099", 70000, 70100, f"bytes 70000-70099/{size}"),
        (f"bytes={size - 5}-", size - 5, size, f"bytes {size - 5}-{last}"),
        ("bytes=-5", size - 5, size, f"bytes {size - 5}-{last}"),
        (f"bytes=10-{size + 1000}", 10, size, f"bytes 10-{last}"),
        (f"bytes=-{size + 1000}", 0, size, f"bytes 0-{last}"),
    ]:
        part = s3.get_object(Bucket=BUCKET, Key="object", Range=wanted)
        same(part["ResponseMetadata"]["HTTPStatusCode"], 206, f"status of {wanted}")
        same(part["ContentRange"], said, f"Content-Range of {wanted}")
        same(part["Body"].read(), BODY[start:end], f"body of {wanted}")
    for key, wanted in [("object", f"bytes={size}-"), ("empty", "bytes=0-0")]:
        refused(lambda: s3.get_object(Bucket=BUCKET, Key=key, Range=wanted), ["InvalidRange"], f"{wanted} of {key}")
    conditions(s3, etag)
    parts(s3)


def conditions(s3, etag):
    long_ago = datetime.datetime(2001, 1, 1, tzinfo=datetime.timezone.utc)
    for options, code in [
        ({"IfMatch": '"0000"'}, "412"),
        ({"IfUnmodifiedSince": long_ago}, "412"),
        ({"IfNoneMatch": etag}, "304"),
    ]:
        codes = [code, "PreconditionFailed"] if code == "412" else [code]
        refused(lambda: s3.head_object(Bucket=BUCKET, Key="object", **options), codes, f"HEAD with {options}")
        refused(lambda: s3.get_object(Bucket=BUCKET, Key="object", **options), codes, f"GET with {options}")
    for options in [{"IfMatch": etag}, {"IfNoneMatch": '"0000"'}, {"IfModifiedSince": long_ago}]:
        same(s3.get_object(Bucket=BUCKET, Key="object", **options)["Body"].read(), BODY, f"GET with {options}")


def parts(s3):
    """A multipart object by part number, and a range across two parts."""
    first, second = b"x" * (5 << 20), b"y" * 1000
    upload = s3.create_multipart_upload(Bucket=BUCKET, Key="parts")["UploadId"]
    listed = []
    for number, body in enumerate([first, second], 1):
        part = s3.upload_part(Bucket=BUCKET, Key="parts", UploadId=upload, PartNumber=number, Body=body)
        listed.append({"PartNumber": number, "ETag": part["ETag"]})
    s3.complete_multipart_upload(Bucket=BUCKET, Key="parts", UploadId=upload, MultipartUpload={"Parts": listed})
    edge = len(first)
    across = s3.get_object(Bucket=BUCKET, Key="parts", Range=f"bytes={edge - 3}-{edge + 2}")
    same(across["Body"].read(), b"xxxyyy", "a range across two parts")
    part = s3.get_object(Bucket=BUCKET, Key="parts", PartNumber=2)
    same((part["Body"].read(), part["PartsCount"]), (second, 2), "part 2")
    same(s3.head_object(Bucket=BUCKET, Key="parts", PartNumber=1)["ContentLength"], edge, "length of part 1")


main()
