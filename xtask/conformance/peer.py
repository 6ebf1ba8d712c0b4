"""What the scripts share: a boto3 client, checksums, and requests signed by hand for what boto3 cannot send."""

import base64
import datetime
import hashlib
import hmac
import http.client
import os
import sys
import urllib.parse
import zlib

import awscrt.checksums
import boto3
import botocore.config
import botocore.exceptions

ENDPOINT = os.environ["AWS_ENDPOINT_URL"]
KEY = os.environ["AWS_ACCESS_KEY_ID"]
SECRET = os.environ["AWS_SECRET_ACCESS_KEY"]
REGION = os.environ["AWS_REGION"]

ALGORITHMS = ["crc32", "crc32c", "crc64nvme", "sha1", "sha256"]


def client(**options):
    """A client that tries once and addresses buckets by path."""
    config = botocore.config.Config(
        retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}, max_pool_connections=64
    )
    return boto3.client("s3", config=config, **options)


def checksum(algorithm, data):
    """The value of a checksum header, or of Content-MD5."""
    digest = {
        "crc32": lambda: zlib.crc32(data).to_bytes(4, "big"),
        "crc32c": lambda: awscrt.checksums.crc32c(data).to_bytes(4, "big"),
        "crc64nvme": lambda: awscrt.checksums.crc64nvme(data).to_bytes(8, "big"),
        "sha1": lambda: hashlib.sha1(data).digest(),
        "sha256": lambda: hashlib.sha256(data).digest(),
        "md5": lambda: hashlib.md5(data).digest(),
    }[algorithm]()
    return base64.b64encode(digest).decode()


def require(condition, text):
    if not condition:
        sys.exit(text)


def same(found, wanted, what):
    require(found == wanted, f"{what}: found {found!r}, wanted {wanted!r}")


def refused(call, codes, what):
    """The call must be refused with one of these error codes."""
    try:
        call()
    except botocore.exceptions.ClientError as error:
        found = error.response["Error"]["Code"]
        require(found in codes, f"{what}: refused with {found}, wanted {' or '.join(codes)}")
        return
    sys.exit(f"{what}: was answered, wanted {' or '.join(codes)}")


def is_absent(s3, bucket, key):
    """Whether nothing was stored under the key."""
    return "Contents" not in s3.list_objects_v2(Bucket=bucket, Prefix=key)


class Signature:
    """Signature version 4 for one request, by the AWS documentation on signing S3 requests."""

    def __init__(self, key=KEY, secret=SECRET, at=None, token=None):
        self.key = key
        self.token = token
        at = at or datetime.datetime.now(datetime.timezone.utc)
        self.time = at.strftime("%Y%m%dT%H%M%SZ")
        self.scope = f"{self.time[:8]}/{REGION}/s3/aws4_request"
        signing = ("AWS4" + secret).encode()
        for word in self.scope.split("/"):
            signing = hmac.new(signing, word.encode(), hashlib.sha256).digest()
        self.signing_key = signing
        self.seed = ""

    def sign(self, text):
        return hmac.new(self.signing_key, text.encode(), hashlib.sha256).hexdigest()

    def headers(self, method, path, query, headers, payload):
        """All headers of the request, with its authorization."""
        every = {name.lower(): value for name, value in headers.items()}
        every |= {"host": host(), "x-amz-date": self.time, "x-amz-content-sha256": payload}
        if self.token:
            every["x-amz-security-token"] = self.token
        names = sorted(every)
        listed = "".join(f"{name}:{every[name].strip()}\n" for name in names)
        request = "\n".join([method, path, query, listed, ";".join(names), payload])
        digest = hashlib.sha256(request.encode()).hexdigest()
        self.seed = self.sign("\n".join(["AWS4-HMAC-SHA256", self.time, self.scope, digest]))
        credential = f"Credential={self.key}/{self.scope}"
        every["authorization"] = (
            f"AWS4-HMAC-SHA256 {credential}, SignedHeaders={';'.join(names)}, Signature={self.seed}"
        )
        return every

    def chunk(self, data, previous):
        empty = hashlib.sha256(b"").hexdigest()
        digest = hashlib.sha256(data).hexdigest()
        return self.sign("\n".join(["AWS4-HMAC-SHA256-PAYLOAD", self.time, self.scope, previous, empty, digest]))

    def trailer(self, text, previous):
        digest = hashlib.sha256(text.encode()).hexdigest()
        return self.sign("\n".join(["AWS4-HMAC-SHA256-TRAILER", self.time, self.scope, previous, digest]))


def host():
    return urllib.parse.urlsplit(ENDPOINT).netloc


def send(method, path, headers=None, body=b"", query=""):
    """One request as it stands; the status and the body of the answer."""
    connection = http.client.HTTPConnection(host(), timeout=30)
    try:
        connection.request(method, path + ("?" + query if query else ""), body, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read().decode(errors="replace")
    finally:
        connection.close()


def put_signed(path, body, headers, payload=None):
    """A PUT whose body is signed as a whole."""
    payload = payload or hashlib.sha256(body).hexdigest()
    return send("PUT", path, Signature().headers("PUT", path, "", headers, payload), body)
