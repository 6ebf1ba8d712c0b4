"""What principals may do at an endpoint: python access.py SPEC.json CELLS.json

The specification names the administrator, the principals, and the places. A principal has keys, or a policy document, with
which it is made: a user with keys of its own, or a role that is assumed.
"""

import json
import sys

import boto3
import botocore.config
import botocore.exceptions

TRUST = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}]}


def client(service, keys):
    config = botocore.config.Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"})
    return boto3.client(
        service,
        endpoint_url=keys["url"],
        aws_access_key_id=keys["key"],
        aws_secret_access_key=keys["secret"],
        aws_session_token=keys.get("token"),
        region_name="us-east-1",
        config=config,
    )


def made(principal, admin):
    """The keys of a principal."""
    name, document = principal["name"], json.dumps(principal["document"])
    if "keys" in principal:
        return principal["keys"]
    iam = client("iam", admin)
    if principal["type"] == "user":
        iam.create_user(UserName=name)
        iam.put_user_policy(UserName=name, PolicyName="access", PolicyDocument=document)
        key = iam.create_access_key(UserName=name)["AccessKey"]
        return {"url": admin["url"], "key": key["AccessKeyId"], "secret": key["SecretAccessKey"]}
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
    iam.put_role_policy(RoleName=name, PolicyName="access", PolicyDocument=document)
    found = client("sts", admin).assume_role(RoleArn=role, RoleSessionName="access")["Credentials"]
    keys = {"key": found["AccessKeyId"], "secret": found["SecretAccessKey"], "token": found["SessionToken"]}
    return {"url": admin["url"], **keys}


def calls(s3, owner, bucket, folder):
    """Every call on a place, by the name of its operation. What it needs is there, made by the owner."""
    kept, new = f"{folder}kept", f"{folder}new"
    tags = {"TagSet": [{"Key": "a", "Value": "b"}]}
    one = {"Bucket": bucket, "Key": new}
    upload = {**one, "UploadId": owner.create_multipart_upload(**one)["UploadId"]}
    spare = {**one, "UploadId": owner.create_multipart_upload(**one)["UploadId"]}
    etag = owner.upload_part(**upload, PartNumber=1, Body=b"part")["ETag"]
    parts = {"Parts": [{"PartNumber": 1, "ETag": etag}]}
    yield "HeadBucket", lambda: s3.head_bucket(Bucket=bucket)
    yield "GetBucketLocation", lambda: s3.get_bucket_location(Bucket=bucket)
    yield "ListObjectsV2", lambda: s3.list_objects_v2(Bucket=bucket, Prefix=folder)
    yield "ListMultipartUploads", lambda: s3.list_multipart_uploads(Bucket=bucket)
    yield "GetObject", lambda: s3.get_object(Bucket=bucket, Key=kept)["Body"].read()
    yield "HeadObject", lambda: s3.head_object(Bucket=bucket, Key=kept)
    yield "GetObjectTagging", lambda: s3.get_object_tagging(Bucket=bucket, Key=kept)
    yield "PutObject", lambda: s3.put_object(**one, Body=b"new")
    yield "PutObjectTagging", lambda: s3.put_object_tagging(Bucket=bucket, Key=kept, Tagging=tags)
    yield "CopyObject", lambda: s3.copy_object(**one, CopySource={"Bucket": "lake", "Key": "team-a/kept"})
    yield "CreateMultipartUpload", lambda: s3.create_multipart_upload(**one)
    yield "UploadPart", lambda: s3.upload_part(**upload, PartNumber=1, Body=b"part")
    yield "ListParts", lambda: s3.list_parts(**upload)
    yield "CompleteMultipartUpload", lambda: s3.complete_multipart_upload(**upload, MultipartUpload=parts)
    yield "AbortMultipartUpload", lambda: s3.abort_multipart_upload(**spare)
    yield "DeleteObjects", lambda: deleted(s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": new}]}))
    yield "DeleteObject", lambda: s3.delete_object(**one)


def deleted(answer):
    """DeleteObjects refuses key by key."""
    for error in answer.get("Errors", []):
        raise botocore.exceptions.ClientError({"Error": error}, "DeleteObjects")


def said(call):
    """None if the call was answered, else the code of the refusal."""
    try:
        call()
    except botocore.exceptions.ClientError as error:
        return error.response["Error"]["Code"]
    return None


def main():
    with open(sys.argv[1]) as file:
        spec = json.load(file)
    admin = spec["admin"]
    owner = client("s3", admin)
    for bucket in sorted({bucket for bucket, _ in spec["places"]}):
        owner.create_bucket(Bucket=bucket)
    for bucket, folder in spec["places"]:
        owner.put_object(Bucket=bucket, Key=f"{folder}kept", Body=b"kept")
    cells = []
    for principal in spec["principals"]:
        s3 = client("s3", made(principal, admin))
        for bucket, folder in spec["places"]:
            for operation, call in calls(s3, owner, bucket, folder):
                place = {"principal": principal["name"], "bucket": bucket, "folder": folder}
                cells.append({**place, "operation": operation, "refused": said(call)})
    with open(sys.argv[2], "w") as file:
        json.dump(cells, file)


main()
