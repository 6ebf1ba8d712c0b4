"""A client that waits for `100 Continue` gets it, or a final answer on a connection that is closed behind it.

botocore keeps a connection on which a final answer came instead, and takes that answer's status for the status of its next
request there: that request then has no headers, and ends only when the server gives up on the idle connection.
"""

import hashlib
import socket

import peer
from peer import require

BUCKET = "expectations"


def put(body, secret=peer.SECRET):
    """The first answer, and the last one behind the body if the first was `100 Continue`."""
    path = f"/{BUCKET}/object"
    length = {"expect": "100-continue", "content-length": str(len(body))}
    headers = peer.Signature(secret=secret).headers("PUT", path, "", length, hashlib.sha256(body).hexdigest())
    head = f"PUT {path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in headers.items()) + "\r\n"
    name, port = peer.host().split(":")
    with socket.create_connection((name, int(port)), timeout=10) as connection:
        connection.sendall(head.encode())
        first = connection.recv(65536).decode()
        if first.startswith("HTTP/1.1 100 "):
            connection.sendall(body)
            return first, connection.recv(65536).decode()
        return first, ""


def check_one(body, secret, status, what):
    first, last = put(body, secret)
    answer = last or first
    require(answer.startswith(f"HTTP/1.1 {status} "), f"{what}: answered {answer!r}")
    closes = "\r\nconnection: close\r\n" in first.lower()
    require(last or closes, f"{what}: answered without `100 Continue` on a connection that stays open: {first!r}")


def main():
    peer.client().create_bucket(Bucket=BUCKET)
    check_one(b"x" * 100_000, peer.SECRET, 200, "a put with a body")
    check_one(b"", peer.SECRET, 200, "a put without a body")
    check_one(b"x" * 100_000, "wrong", 403, "a put with a wrong secret")
    check_one(b"", "wrong", 403, "an empty put with a wrong secret")


main()
