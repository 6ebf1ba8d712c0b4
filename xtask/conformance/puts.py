"""Concurrent puts whose acknowledgements are noted, and the proof that each acknowledged object is there and whole.

put ROUND COUNT   puts COUNT objects side by side, some of them over objects of earlier rounds; each acknowledgement is a
                  line `KEY ROUND` in `acknowledged-ROUND`. Ends well when the server disappears.
check             compares every object, listed or acknowledged, with what was sent.
"""

import glob
import hashlib
import random
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import botocore.exceptions
import peer

BUCKET = "puts"
SIZES = [0, 1, 100, 4096, 70_000, 300_000]


def content(key, round_number):
    """A body that tells which key and round it belongs to, and that no other body is a part of."""
    head = f"{key} {round_number}\n".encode()
    draw = random.Random(head)
    body = head + draw.randbytes(draw.choice(SIZES))
    return body + hashlib.sha256(body).digest()


def key_of(number, round_number):
    """Every third object is one that each round writes again."""
    return f"again/{number:03}" if number % 3 == 0 else f"round-{round_number:02}/{number:03}"


def put(round_number, count):
    s3 = peer.client()
    try:
        s3.create_bucket(Bucket=BUCKET)
    except botocore.exceptions.ClientError as error:
        peer.require(error.response["Error"]["Code"].startswith("BucketAlready"), str(error))
    noted = threading.Lock()
    gone = threading.Event()
    with open(f"acknowledged-{round_number}", "a") as notes:

        def one(number):
            key = key_of(number, round_number)
            if gone.is_set():
                return
            try:
                s3.put_object(Bucket=BUCKET, Key=key, Body=content(key, round_number))
            except (botocore.exceptions.HTTPClientError, botocore.exceptions.ConnectionError):
                gone.set()
                return
            with noted:
                notes.write(f"{key} {round_number}\n")
                notes.flush()

        with ThreadPoolExecutor(count) as pool:
            list(pool.map(one, range(count)))


def check():
    s3 = peer.client()
    acknowledged = {}
    for path in glob.glob("acknowledged-*"):
        with open(path) as notes:
            for line in notes:
                key, round_number = line.split()
                acknowledged[key] = max(acknowledged.get(key, -1), int(round_number))
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
    listed = {entry["Key"]: entry for page in pages for entry in page.get("Contents", [])}
    missing = sorted(set(acknowledged) - set(listed))
    peer.require(not missing, f"{len(missing)} acknowledged objects are not listed: {missing[:5]}")
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda key: check_one(s3, key, listed[key], acknowledged.get(key, -1)), listed))


def check_one(s3, key, entry, acknowledged):
    body = s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
    peer.require(len(body) == entry["Size"], f"`{key}` is {len(body)} bytes, listed as {entry['Size']}")
    peer.require(hashlib.sha256(body[:-32]).digest() == body[-32:], f"`{key}` is torn: {len(body)} bytes")
    found, round_number = body.split(b"\n", 1)[0].decode().split()
    peer.require(body == content(key, int(round_number)) and found == key, f"`{key}` holds another object: {found}")
    peer.require(int(round_number) >= acknowledged, f"`{key}` is of round {round_number}, acknowledged was {acknowledged}")
    peer.require(entry["ETag"].strip('"') == hashlib.md5(body).hexdigest(), f"`{key}` has an ETag that is not its MD5")


if sys.argv[1] == "put":
    put(int(sys.argv[2]), int(sys.argv[3]))
else:
    check()
