"""Who is not who he says, or speaks too late, gets nothing: neither data nor a write."""

import datetime
import hashlib
import time
import urllib.parse
import urllib.request

import peer
from peer import is_absent, refused

BUCKET = "refusals"
EMPTY = hashlib.sha256(b"").hexdigest()


def main():
    s3 = peer.client()
    s3.create_bucket(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key="object", Body=b"secret")
    wrong = peer.client(aws_access_key_id=peer.KEY, aws_secret_access_key="wrong")
    unknown = peer.client(aws_access_key_id="AKIAUNKNOWNUNKNOWN12", aws_secret_access_key=peer.SECRET)
    for other, code in [(wrong, "SignatureDoesNotMatch"), (unknown, "InvalidAccessKeyId")]:
        refused(lambda: other.get_object(Bucket=BUCKET, Key="object"), [code], "GET")
        refused(lambda: other.put_object(Bucket=BUCKET, Key="put", Body=b"x"), [code], "PUT")
        refused(lambda: other.list_objects_v2(Bucket=BUCKET), [code], "a listing")
    raw_requests()
    presigned(s3)
    for key in ["put", "unsigned"]:
        peer.require(is_absent(s3, BUCKET, key), f"a refused PUT stored `{key}`")


def expect(answer, statuses, word, what):
    status, text = answer
    peer.require(status in statuses, f"{what}: answered {status} {text}, wanted {statuses}")
    peer.require(word in text, f"{what}: answered {text}, wanted {word}")
    peer.require("secret" not in text or "<Error>" in text, f"{what}: the object was sent")


def raw_requests():
    path = f"/{BUCKET}/object"
    for method, target in [("GET", path), ("PUT", f"/{BUCKET}/unsigned"), ("DELETE", path), ("GET", f"/{BUCKET}")]:
        expect(peer.send(method, target, body=b"x" if method == "PUT" else b""), [403], "AccessDenied", f"unsigned {method}")
    tampered = peer.Signature().headers("GET", f"/{BUCKET}/other", "", {}, EMPTY)
    expect(peer.send("GET", path, tampered), [403], "SignatureDoesNotMatch", "a request for another object")
    hour = datetime.timedelta(hours=1)
    late = peer.Signature(at=datetime.datetime.now(datetime.timezone.utc) - hour).headers("GET", path, "", {}, EMPTY)
    expect(peer.send("GET", path, late), [403], "RequestTimeTooSkewed", "a request that is an hour old")
    token = peer.Signature(token="bm8gc2Vzc2lvbiBvZiBvdXJz").headers("GET", path, "", {}, EMPTY)
    expect(peer.send("GET", path, token), [400, 403], "Error", "a session token that is not ours")


def presigned(s3):
    """A signed URL works as it was made, until it expires."""
    parameters = {"Bucket": BUCKET, "Key": "object"}
    url = s3.generate_presigned_url("get_object", Params=parameters, ExpiresIn=60)
    with urllib.request.urlopen(url, timeout=10) as answer:
        peer.same(answer.read(), b"secret", "the object by its signed URL")
    for made, what in [(url.replace("/object?", "/other?"), "another key"), (url + "&versionId=x", "another version")]:
        parts = urllib.parse.urlsplit(made)
        expect(peer.send("GET", parts.path, query=parts.query), [403], "Error", f"a signed URL for {what}")
    short = s3.generate_presigned_url("get_object", Params=parameters, ExpiresIn=1)
    time.sleep(2.1)
    parts = urllib.parse.urlsplit(short)
    expect(peer.send("GET", parts.path, query=parts.query), [403], "Error", "an expired URL")


main()
