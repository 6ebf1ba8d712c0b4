"""Conditional writes: of 16 writers of one new key exactly one wins, and of 16 that replace one version, too."""

import threading
from concurrent.futures import ThreadPoolExecutor

import botocore.exceptions
import peer
from peer import refused, same

BUCKET = "races"
WRITERS = 16
ROUNDS = 12


def race(s3, key, **condition):
    """The bodies of those who won; everybody else must have been told why not."""
    start = threading.Barrier(WRITERS)

    def write(number):
        body = f"writer {number}, {condition}".encode() * 200
        start.wait()
        try:
            s3.put_object(Bucket=BUCKET, Key=key, Body=body, **condition)
            return body
        except botocore.exceptions.ClientError as error:
            code = error.response["Error"]["Code"]
            peer.require(code in ["PreconditionFailed", "ConditionalRequestConflict"], f"a loser was told {code}")
            return None

    with ThreadPoolExecutor(WRITERS) as pool:
        return [body for body in pool.map(write, range(WRITERS)) if body]


def main():
    s3 = peer.client()
    s3.create_bucket(Bucket=BUCKET)
    for number in range(ROUNDS):
        key = f"new-{number}"
        winners = race(s3, key, IfNoneMatch="*")
        same(len(winners), 1, f"winners of a race for `{key}`")
        head = s3.get_object(Bucket=BUCKET, Key=key)
        same(head["Body"].read(), winners[0], "the object after the race")
        winners = race(s3, key, IfMatch=head["ETag"])
        same(len(winners), 1, f"winners of a race to replace `{key}`")
        same(s3.get_object(Bucket=BUCKET, Key=key)["Body"].read(), winners[0], "the object after the second race")
    body = {"Bucket": BUCKET, "Body": b"x"}
    refused(lambda: s3.put_object(Key="new-0", IfNoneMatch="*", **body), ["PreconditionFailed"], "a put on an old key")
    refused(lambda: s3.put_object(Key="new-0", IfMatch='"0"', **body), ["PreconditionFailed"], "a put on another ETag")
    refused(lambda: s3.put_object(Key="none", IfMatch='"0"', **body), ["NoSuchKey"], "a replacing put on no object")
    s3.delete_object(Bucket=BUCKET, Key="new-0")
    same(len(race(s3, "new-0", IfNoneMatch="*")), 1, "winners of a race for a deleted key")


main()
