"""A wrong digest in a trailer is refused and nothing is stored, with unsigned and with signed chunks."""

import peer
from peer import is_absent, same

BUCKET = "checksum-trailers"
DATA = bytes(range(256)) * 600
CHUNK = 65536
REFUSALS = ["BadDigest", "InvalidDigest", "XAmzContentChecksumMismatch"]


def put(key, algorithm, value, signed, spoil=None):
    """Sends DATA as aws-chunked with the checksum behind it; `spoil` names a signature to get wrong."""
    path = f"/{BUCKET}/{key}"
    kind = "AWS4-HMAC-SHA256-PAYLOAD" if signed else "UNSIGNED-PAYLOAD"
    signature = peer.Signature()
    headers = {
        "content-encoding": "aws-chunked",
        "x-amz-decoded-content-length": str(len(DATA)),
        "x-amz-trailer": f"x-amz-checksum-{algorithm}",
    }
    headers = signature.headers("PUT", path, "", headers, f"STREAMING-{kind}-TRAILER")
    trailer = f"x-amz-checksum-{algorithm}:{value}"
    body = signed_body(signature, trailer, spoil) if signed else unsigned_body(trailer)
    headers["content-length"] = str(len(body))
    return peer.send("PUT", path, headers, body)


def chunks():
    return [DATA[start : start + CHUNK] for start in range(0, len(DATA), CHUNK)] + [b""]


def unsigned_body(trailer):
    body = b"".join(b"%x\r\n" % len(chunk) + chunk + b"\r\n" * bool(chunk) for chunk in chunks())
    return body + trailer.encode() + b"\r\n\r\n"


def signed_body(signature, trailer, spoil):
    body, previous = b"", signature.seed
    for number, chunk in enumerate(chunks()):
        previous = signature.chunk(chunk, previous)
        written = "0" * 64 if spoil == "chunk" and number == 1 else previous
        body += f"{len(chunk):x};chunk-signature={written}\r\n".encode() + chunk + b"\r\n" * bool(chunk)
    last = "0" * 64 if spoil == "trailer" else signature.trailer(trailer + "\n", previous)
    return body + f"{trailer}\r\nx-amz-trailer-signature:{last}\r\n\r\n".encode()


def main():
    s3 = peer.client()
    s3.create_bucket(Bucket=BUCKET)
    for signed in [False, True]:
        for algorithm in peer.ALGORITHMS:
            check_one(s3, algorithm, signed)
    for spoil in ["chunk", "trailer"]:
        key = f"forged-{spoil}"
        status, text = put(key, "crc32", peer.checksum("crc32", DATA), True, spoil)
        peer.require(status == 403, f"a forged {spoil} signature: answered {status} {text}")
        peer.require(is_absent(s3, BUCKET, key), f"a forged {spoil} signature: the body was stored")


def check_one(s3, algorithm, signed):
    key = f"{algorithm}-{'signed' if signed else 'unsigned'}"
    status, text = put(key, algorithm, peer.checksum(algorithm, DATA + b"!"), signed)
    refused = status == 400 and any(code in text for code in REFUSALS)
    peer.require(refused, f"{key}: a wrong trailer was answered {status} {text}")
    peer.require(is_absent(s3, BUCKET, key), f"{key}: the refused body was stored")
    right = peer.checksum(algorithm, DATA)
    status, text = put(key, algorithm, right, signed)
    same(status, 200, f"{key}: status of a right trailer ({text})")
    found = s3.get_object(Bucket=BUCKET, Key=key, ChecksumMode="ENABLED")
    same(found["Body"].read(), DATA, f"{key}: the body without its framing")
    same(found.get("Checksum" + algorithm.upper()), right, f"{key}: the checksum told by GET")
    peer.require("aws-chunked" not in found.get("ContentEncoding", ""), f"{key}: aws-chunked is kept as an encoding")


main()
