"""2,500 keys come back in the order of their UTF-8 bytes, whatever the page size, prefix, delimiter and start."""

from concurrent.futures import ThreadPoolExecutor

import peer
from peer import require, same

BUCKET = "listing"
ODD = [
    "a", "a/", "a/b", "a/b/c", "a//b", "a-1", "a.txt", "a0", "A", "b/../c", "./x", "space here", "plus+plus", "percent%20",
    "%2F", "amp&amp;", "<tag>", "quote\"'", "tab\there", "new\nline", "ü", "u\u0308", "☃/snow", "𝄞", "\uff5e", "~", "z" * 1024,
]  # fmt: skip


def keys():
    numbered = [f"n/{index % 50:02}/{index:05}" for index in range(2500 - len(ODD))]
    return sorted(numbered + ODD, key=lambda key: key.encode())


def model(every, prefix, delimiter, after):
    """What a listing must hold: keys, and prefixes that stand for the keys behind a delimiter."""
    found = []
    for key in every:
        if not key.startswith(prefix) or key.encode() <= after.encode():
            continue
        head, mark, _ = key[len(prefix) :].partition(delimiter) if delimiter else (key, "", "")
        entry = prefix + head + mark if mark else key
        if mark and after.startswith(entry) and entry != after:
            continue
        if not found or found[-1] != entry:
            found.append(entry)
    return found


def entries(page):
    names = [item["Key"] for item in page.get("Contents", [])]
    names += [item["Prefix"] for item in page.get("CommonPrefixes", [])]
    return sorted(names, key=lambda key: key.encode())


def pages(s3, call, size, **options):
    """All entries of a paged listing; each page must be full and go on behind the one before."""
    found = []
    paginator = s3.get_paginator(call)
    for page in paginator.paginate(Bucket=BUCKET, PaginationConfig={"PageSize": size}, **options):
        names = entries(page)
        require(len(names) == size or not page["IsTruncated"], f"a page of {len(names)} entries, wanted {size}")
        require(len(names) <= size, f"a page of {len(names)} entries, wanted at most {size}")
        same(page.get("KeyCount", len(names)), len(names), "KeyCount")
        found += names
    return found


def check_one(s3, every, prefix="", delimiter="", after="", sizes=(1000,)):
    wanted = model(every, prefix, delimiter, after)
    for size in sizes:
        what = f"prefix {prefix!r}, delimiter {delimiter!r}, after {after!r}, pages of {size}"
        options = {"Prefix": prefix, "Delimiter": delimiter}
        second = pages(s3, "list_objects_v2", size, StartAfter=after, **options)
        same(second, wanted, f"ListObjectsV2 with {what}")
        if not after:
            same(pages(s3, "list_objects", size, **options), wanted, f"ListObjects with {what}")


def main():
    s3 = peer.client()
    s3.create_bucket(Bucket=BUCKET)
    every = keys()
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda key: s3.put_object(Bucket=BUCKET, Key=key, Body=key.encode()), every))
    check_one(s3, every, sizes=(1000, 999))
    check_one(s3, every, delimiter="/", sizes=(1000, 3, 1))
    check_one(s3, every, prefix="n/", delimiter="/", sizes=(7, 50, 1000))
    check_one(s3, every, prefix="n/07/", sizes=(1000, 10))
    check_one(s3, every, prefix="a", sizes=(2, 1000))
    check_one(s3, every, prefix="a/", delimiter="/", sizes=(1, 1000))
    check_one(s3, every, prefix="n", delimiter="0", sizes=(1000,))
    check_one(s3, every, prefix="nothing/here", delimiter="/")
    for after in ["a", "a/", "n/25/", "n/25/01225", "zzz", "\uff5e"]:
        check_one(s3, every, after=after)
    for key in ["new\nline", "ü", "a//b", "percent%20", "z" * 1024]:
        body = s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
        same(body, key.encode(), f"the object {key!r}")
    same(s3.list_objects_v2(Bucket=BUCKET, MaxKeys=0)["KeyCount"], 0, "KeyCount with MaxKeys=0")
    capped = s3.list_objects_v2(Bucket=BUCKET, MaxKeys=5000)
    require(capped["KeyCount"] == 1000 and capped["IsTruncated"], "MaxKeys above 1,000 is not capped")


main()
