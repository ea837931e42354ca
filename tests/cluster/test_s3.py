"""What the stages rely on from the S3 server of the tests."""

import json
import uuid

import httpx
import pytest
from botocore.exceptions import ClientError

from tests.cluster.s3 import Credentials, S3Server


@pytest.fixture
def bucket(s3_server: S3Server) -> str:
    return s3_server.create_bucket(f"bucket-{uuid.uuid4().hex[:8]}")


def refused_with(error: pytest.ExceptionInfo[ClientError]) -> int:
    return int(error.value.response["ResponseMetadata"]["HTTPStatusCode"])


def test_an_object_comes_back_as_it_was_put(s3_server: S3Server, bucket: str) -> None:
    s3 = s3_server.client()
    s3.put_object(Bucket=bucket, Key="a/b.bin", Body=b"\x00\x01\x02")
    assert s3.get_object(Bucket=bucket, Key="a/b.bin", Range="bytes=1-2")["Body"].read() == b"\x01\x02"


def test_a_wrong_secret_is_refused(s3_server: S3Server, bucket: str) -> None:
    impostor = s3_server.client(Credentials(s3_server.owner.access_key, "wrong"))
    with pytest.raises(ClientError) as error:
        impostor.list_objects_v2(Bucket=bucket)
    assert refused_with(error) == 403


def test_an_unsigned_request_is_refused(s3_server: S3Server, bucket: str) -> None:
    s3_server.client().put_object(Bucket=bucket, Key="key", Body=b"")
    assert httpx.get(f"{s3_server.endpoint}/{bucket}/key").status_code == 403


def test_a_put_that_must_be_the_first_is_refused_when_it_is_not(s3_server: S3Server, bucket: str) -> None:
    s3 = s3_server.client()
    s3.put_object(Bucket=bucket, Key="key", Body=b"first", IfNoneMatch="*")
    with pytest.raises(ClientError) as error:
        s3.put_object(Bucket=bucket, Key="key", Body=b"second", IfNoneMatch="*")
    assert refused_with(error) == 412
    assert s3.get_object(Bucket=bucket, Key="key")["Body"].read() == b"first"


def test_a_multipart_upload_that_must_be_the_first_is_refused_when_it_is_not(s3_server: S3Server, bucket: str) -> None:
    s3 = s3_server.client()

    def upload(content: bytes) -> None:
        started = s3.create_multipart_upload(Bucket=bucket, Key="key")["UploadId"]
        part = s3.upload_part(Bucket=bucket, Key="key", UploadId=started, PartNumber=1, Body=content)
        parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
        s3.complete_multipart_upload(Bucket=bucket, Key="key", UploadId=started, MultipartUpload=parts, IfNoneMatch="*")

    upload(b"first")
    with pytest.raises(ClientError) as error:
        upload(b"second")
    assert refused_with(error) == 412
    assert s3.get_object(Bucket=bucket, Key="key")["Body"].read() == b"first"


def test_a_second_user_may_do_what_the_policy_says_and_no_more(s3_server: S3Server, bucket: str) -> None:
    reader = s3_server.add_user()
    s3_server.client().put_object(Bucket=bucket, Key="key", Body=b"content")
    with pytest.raises(ClientError) as error:
        s3_server.client(reader).get_object(Bucket=bucket, Key="key")
    assert refused_with(error) == 403

    grant = {"Effect": "Allow", "Principal": {"AWS": [reader.access_key]}, "Action": "s3:GetObject"}
    policy = {"Version": "2012-10-17", "Statement": [{**grant, "Resource": f"arn:aws:s3:::{bucket}/*"}]}
    s3_server.client().put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))

    assert s3_server.client(reader).get_object(Bucket=bucket, Key="key")["Body"].read() == b"content"
    with pytest.raises(ClientError) as error:
        s3_server.client(reader).put_object(Bucket=bucket, Key="key", Body=b"changed")
    assert refused_with(error) == 403
