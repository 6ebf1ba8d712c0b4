"""Versions and delete markers, from before versioning to its suspension."""

import peer
from peer import refused, same

BUCKET = "versions"
KEY = "folder/object"


def main():
    s3 = peer.client()
    s3.create_bucket(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key=KEY, Body=b"before")
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    same(s3.get_bucket_versioning(Bucket=BUCKET)["Status"], "Enabled", "versioning")
    ids = [s3.put_object(Bucket=BUCKET, Key=KEY, Body=body)["VersionId"] for body in [b"one", b"two"]]
    same(read(s3), b"two", "the newest version")
    same([read(s3, version) for version in ["null", *ids]], [b"before", b"one", b"two"], "every version")
    marker = s3.delete_object(Bucket=BUCKET, Key=KEY)
    same(marker["DeleteMarker"], True, "deleting makes a marker")
    refused(lambda: read(s3), ["NoSuchKey"], "GET of a deleted object")
    refused(lambda: read(s3, marker["VersionId"]), ["MethodNotAllowed"], "GET of a marker")
    same(s3.list_objects_v2(Bucket=BUCKET)["KeyCount"], 0, "listing of a deleted object")
    same(listed(s3), [marker["VersionId"], ids[1], ids[0], "null"], "versions, newest first")
    same([page for page in paged(s3)], listed(s3), "versions in pages of one")
    s3.delete_object(Bucket=BUCKET, Key=KEY, VersionId=marker["VersionId"])
    same(read(s3), b"two", "the object after its marker was deleted")
    s3.delete_object(Bucket=BUCKET, Key=KEY, VersionId=ids[1])
    same(read(s3), b"one", "the object after its newest version was deleted")
    refused(lambda: read(s3, ids[1]), ["NoSuchVersion"], "GET of a deleted version")
    refused(lambda: s3.delete_bucket(Bucket=BUCKET), ["BucketNotEmpty"], "deleting a bucket with versions")
    suspended(s3, ids[0])


def suspended(s3, kept):
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Suspended"})
    s3.put_object(Bucket=BUCKET, Key=KEY, Body=b"suspended")
    same([read(s3), read(s3, "null"), read(s3, kept)], [b"suspended", b"suspended", b"one"], "suspended versions")
    same(listed(s3), ["null", kept], "versions after suspension")
    every = [{"Key": KEY, "VersionId": version} for version in listed(s3)]
    deleted = s3.delete_objects(Bucket=BUCKET, Delete={"Objects": every})
    same((len(deleted["Deleted"]), deleted.get("Errors")), (2, None), "DeleteObjects of every version")
    same(listed(s3), [], "versions after all were deleted")
    s3.delete_bucket(Bucket=BUCKET)


def read(s3, version=None):
    options = {"VersionId": version} if version else {}
    return s3.get_object(Bucket=BUCKET, Key=KEY, **options)["Body"].read()


def entries(page):
    both = page.get("Versions", []) + page.get("DeleteMarkers", [])
    return sorted(both, key=lambda version: version["LastModified"], reverse=True)


def listed(s3):
    """Version ids, newest first; the newest alone says that it is the latest."""
    page = s3.list_object_versions(Bucket=BUCKET)
    latest = [version["VersionId"] for version in entries(page) if version["IsLatest"]]
    ids = ordered(page)
    same(latest, ids[:1], "the latest version")
    return ids


def ordered(page):
    """The ids in the order of the listing; boto3 parts versions and markers, so markers go where their time says."""
    versions = page.get("Versions", [])
    for marker in page.get("DeleteMarkers", []):
        at = 0 if marker["IsLatest"] else sum(version["LastModified"] > marker["LastModified"] for version in versions)
        versions = versions[:at] + [marker] + versions[at:]
    return [version["VersionId"] for version in versions]


def paged(s3):
    paginator = s3.get_paginator("list_object_versions")
    for page in paginator.paginate(Bucket=BUCKET, PaginationConfig={"PageSize": 1}):
        yield from ordered(page)


main()
