"""The backend of the object store in S3, or in a server with its protocol, by boto3."""

import base64
import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from resources.object_store.directory import BLOCK_BYTES, StoredObject, folder_errors, not_found
from ytcaption.domain.errors import ObjectNotFound, ObjectStoreUnavailable, SetupError

COPY_PREFIX = "ytcaption-copy-"
"""Prefix of the folders of local copies, in the machine's folder for temporary files."""

_ATTEMPTS = 3
_MISSING = {"404", "NoSuchKey", "NoSuchUpload", "NotFound"}
_REFUSED = {
    "403",
    "AccessDenied",
    "ExpiredToken",
    "InvalidAccessKeyId",
    "InvalidToken",
    "SignatureDoesNotMatch",
}


@dataclass(frozen=True)
class S3Store:
    """Stores keys below `prefix` in `bucket`. S3 itself publishes whole objects only."""

    bucket: str
    prefix: str
    endpoint_url: str | None
    region: str

    def write_file(self, key: str, path: Path) -> tuple[str, int]:
        """Upload a file, in parts if it is large; return its hex SHA-256 and size."""
        from boto3.s3.transfer import TransferConfig

        with folder_errors(key), path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            size_bytes = file.tell()
        with _s3_errors(key):
            # boto3 sends a SHA-256 with each part, and S3 refuses a part that does not match.
            self._client.upload_file(
                str(path),
                self.bucket,
                self._name(key),
                ExtraArgs={"ChecksumAlgorithm": "SHA256"},
                Config=TransferConfig(use_threads=False),  # ten parts at once took 85 MiB
            )
        return sha256, size_bytes

    def write_bytes(self, key: str, data: bytes) -> tuple[str, int]:
        """Upload bytes; return their hex SHA-256 and size."""
        digest = hashlib.sha256(data)
        with _s3_errors(key):
            self._client.put_object(
                Bucket=self.bucket,
                Key=self._name(key),
                Body=data,
                ChecksumSHA256=base64.b64encode(digest.digest()).decode(),
            )
        return digest.hexdigest(), len(data)

    def read_bytes(self, key: str) -> bytes:
        """Return the whole object."""
        with _s3_errors(key):
            response = self._client.get_object(Bucket=self.bucket, Key=self._name(key))
            # Not `with body`: that yields urllib3's stream, whose errors boto3 does not map.
            with closing(response["Body"]) as body:
                return body.read()

    @contextmanager
    def local_file(self, key: str) -> Iterator[Path]:
        """Yield the path of a copy in a temporary folder."""
        with tempfile.TemporaryDirectory(prefix=COPY_PREFIX) as folder:
            path = Path(folder) / key.rpartition("/")[2]
            self.copy_to(key, path)
            yield path

    def copy_to(self, key: str, path: Path) -> None:
        """Write the object to a file."""
        with folder_errors(key), _s3_errors(key):
            self._client.download_file(self.bucket, self._name(key), str(path))

    def exists(self, key: str) -> bool:
        """Return whether there is an object."""
        from botocore.exceptions import ClientError

        with _s3_errors(key):
            try:
                self._client.head_object(Bucket=self.bucket, Key=self._name(key))
            except ClientError as error:
                if _code(error) in _MISSING:
                    return False
                raise
        return True

    def size(self, key: str) -> int:
        """Return the object's size in bytes."""
        with _s3_errors(key):
            return self._client.head_object(Bucket=self.bucket, Key=self._name(key))[
                "ContentLength"
            ]

    def read_range(self, key: str, start: int, end: int) -> Iterator[bytes]:
        """Yield a part of the object, by S3's own `Range`."""
        from botocore.exceptions import ClientError

        with _s3_errors(key):
            try:
                response = self._client.get_object(
                    Bucket=self.bucket, Key=self._name(key), Range=f"bytes={start}-{end - 1}"
                )
            except ClientError as error:
                if _code(error) == "InvalidRange":  # the object ends before `start`
                    return
                raise
            with closing(response["Body"]) as body:
                yield from body.iter_chunks(BLOCK_BYTES)

    def delete(self, key: str) -> None:
        """Remove the object, if there is one."""
        with _s3_errors(key):
            self._client.delete_object(Bucket=self.bucket, Key=self._name(key))

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """Yield the keys that start with `prefix`."""
        skipped = len(self._name(""))
        with _s3_errors(prefix):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=self._name(prefix)
            )
            for page in pages:
                for item in page.get("Contents", ()):
                    key, modified_at = item["Key"][skipped:], item["LastModified"].timestamp()
                    yield StoredObject(key, item["Size"], modified_at)

    def unfinished(self, prefix: str) -> Iterator[StoredObject]:
        """Yield multipart uploads to such keys, in progress or interrupted by a kill.

        The bucket keeps their parts, which `list` does not show.
        """
        skipped = len(self._name(""))
        with _s3_errors(prefix):
            pages = self._client.get_paginator("list_multipart_uploads").paginate(
                Bucket=self.bucket, Prefix=self._name(prefix)
            )
            for page in pages:
                for item in page.get("Uploads", ()):
                    name = f"{item['Key'][skipped:]} {item['UploadId']}"
                    yield StoredObject(name, 0, item["Initiated"].timestamp())

    def discard(self, name: str) -> bool:
        """Abort a multipart upload; return whether there was one."""
        key, _, upload_id = name.rpartition(" ")
        try:
            with _s3_errors(key):
                self._client.abort_multipart_upload(
                    Bucket=self.bucket, Key=self._name(key), UploadId=upload_id
                )
        except ObjectNotFound:
            return False
        return True

    def uri(self, key: str) -> str:
        """Return `s3://bucket/...`"""
        return f"s3://{self.bucket}/{self._name(key)}"

    @property
    def _client(self) -> Any:
        return _client(os.getpid(), self.endpoint_url, self.region)

    def _name(self, key: str) -> str:
        return f"{self.prefix}/{key}" if self.prefix else key


@cache
def _client(_pid: int, endpoint_url: str | None, region: str) -> Any:
    """Return boto3's client, which all threads of a process share; a forked child makes its own.

    dagster-aws's client would load modules of 30 MiB, too much for a process that receives uploads.
    """
    import boto3
    from botocore.config import Config

    retries = {"max_attempts": _ATTEMPTS, "mode": "standard"}
    return boto3.Session().client(
        "s3", region_name=region, endpoint_url=endpoint_url, config=Config(retries=retries)
    )


@contextmanager
def _s3_errors(key: str) -> Iterator[None]:
    """Map boto3's exceptions to ours."""
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

    try:
        yield
    except ClientError as error:
        raise _mapped(_code(error), key) from error
    except NoCredentialsError as error:
        raise SetupError(
            "No credentials for the object store were found. Set AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY, or another source that boto3 supports."
        ) from error
    except (BotoCoreError, Boto3Error) as error:
        cause = error.__context__  # boto3 wraps the errors of its transfers
        if isinstance(cause, ClientError):
            raise _mapped(_code(cause), key) from error
        raise _unavailable() from error


def _mapped(code: str, key: str) -> Exception:
    if code in _MISSING:
        return not_found(key)
    if code == "NoSuchBucket":
        return SetupError(
            "The bucket of YTCAPTION_OBJECT_STORE_URL does not exist. Create it, or name another."
        )
    if code in _REFUSED:
        return SetupError(
            "The object store refuses the credentials. Check AWS_ACCESS_KEY_ID, "
            "AWS_SECRET_ACCESS_KEY and the rights on the bucket."
        )
    return _unavailable()


def _unavailable() -> ObjectStoreUnavailable:
    return ObjectStoreUnavailable(
        "The object store does not answer. Check YTCAPTION_S3_ENDPOINT_URL and the network, then "
        "try again."
    )


def _code(error: Any) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))
