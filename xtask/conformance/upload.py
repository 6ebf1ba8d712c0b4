"""A folder put by boto3 as its users do it, `upload_file` with parts of 6 MiB: upload.py FOLDER BUCKET PREFIX."""

import os
import sys

import boto3.s3.transfer
import peer

folder, bucket, prefix = sys.argv[1:]
s3 = peer.client()
config = boto3.s3.transfer.TransferConfig(multipart_threshold=6 << 20, multipart_chunksize=6 << 20)
for parent, _, names in os.walk(folder):
    for name in names:
        path = os.path.join(parent, name)
        s3.upload_file(path, bucket, prefix + os.path.relpath(path, folder), Config=config)
