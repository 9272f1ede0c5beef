"""Access to AWS: clients for services, the objects of a bucket, and the settings with which Spark reaches S3.

boto3 finds credentials, region and endpoint in its usual way (variables, profile, role). Spark gets the region and the
endpoint as settings; it finds credentials by itself, so no setting holds any. Every error says in one sentence which
request failed for which object. boto3 is imported only when it is needed, so never for a local lake.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import pyspark

if TYPE_CHECKING:
    from pyarrow.fs import S3FileSystem

_DELETED_AT_ONCE = 1_000  # S3 takes no more in one request

_SDK = "2.35.4"  # of the AWS SDK for Java, as hadoop-aws 3.5.0 is built with
_SDK_MODULES = ("s3-transfer-manager", "sts", "sso")


class BucketError(OSError):
    """S3 did not do what was asked; the message is one sentence for a person."""


class ObjectMissingError(BucketError, FileNotFoundError):
    """There is no such object."""


class ObjectChangedError(BucketError):
    """Somebody else created, changed or removed the object meanwhile."""


@dataclass(frozen=True)
class Object:
    """One object of a bucket.

    Attributes:
        key: its name in the bucket.
        size_bytes: its size.
        modified_at: when it was put there, UTC, in whole seconds.
        etag: changes whenever its bytes do.
        metadata: what was put along with it; empty in listings.
    """

    key: str
    size_bytes: int
    modified_at: datetime
    etag: str
    metadata: Mapping[str, str] = field(default_factory=dict)


def client(service: str) -> Any:
    """A boto3 client for a service, as the environment and the AWS configuration of this machine have it."""
    import boto3

    # boto3 reads AWS_DEFAULT_REGION alone; every other SDK of AWS reads this one.
    region = os.environ.get("AWS_REGION") or None
    return boto3.client(service, region_name=region)  # pyright: ignore[reportCallIssue, reportArgumentType]


class Bucket:
    """The objects of one bucket."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._client: Any = None

    @property
    def client(self) -> Any:
        """A boto3 client for S3, made at the first use."""
        if self._client is None:
            with _plain(f"s3://{self.name}"):
                self._client = client("s3")
        return self._client

    def uri(self, key: str) -> str:
        """The URI of a key."""
        return f"s3://{self.name}/{key}"

    def key(self, uri: str) -> str:
        """The key in a URI of this bucket."""
        return uri.removeprefix(self.uri(""))

    def list(self, prefix: str) -> Iterator[Object]:
        """All objects whose keys start with ``prefix``, in the order of their keys."""
        with _plain(self.uri(prefix)):
            for page in self.client.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=prefix):
                for found in page.get("Contents", []):
                    modified_at = found["LastModified"].replace(
                        microsecond=0
                    )  # MinIO has more in listings than in heads
                    yield Object(found["Key"], found["Size"], modified_at, found["ETag"])

    def head(self, key: str) -> Object:
        """What is known of one object without reading it.

        Raises:
            ObjectMissingError: if there is none.
        """
        with _plain(self.uri(key)):
            head = self.client.head_object(Bucket=self.name, Key=key)
        return Object(key, head["ContentLength"], head["LastModified"], head["ETag"], head["Metadata"])

    def get(self, key: str) -> bytes:
        """The bytes of a small object."""
        with _plain(self.uri(key)):
            return self.client.get_object(Bucket=self.name, Key=key)["Body"].read()

    def put(self, key: str, content: bytes) -> None:
        """Put a small object, as a whole or not at all."""
        with _plain(self.uri(key)):
            self.client.put_object(Bucket=self.name, Key=key, Body=content)

    def put_if_unchanged(
        self, key: str, content: bytes, before: Object | None, metadata: Mapping[str, str] = {}
    ) -> None:
        """Put a small object, unless the key changed meanwhile.

        Args:
            key: where.
            content: its bytes.
            before: the object as the caller found it; None if there was none.
            metadata: kept along with the object.

        Raises:
            ObjectChangedError: if ``before`` was replaced or removed, or an object is where there was none.
        """
        condition = {"IfMatch": before.etag} if before else {"IfNoneMatch": "*"}
        with _plain(self.uri(key)):
            self.client.put_object(Bucket=self.name, Key=key, Body=content, Metadata=dict(metadata), **condition)

    def upload(self, path: Path, key: str) -> None:
        """Put a file of any size."""
        with _plain(self.uri(key)):
            self.client.upload_file(str(path), self.name, key)

    def download(self, key: str, file: BinaryIO) -> None:
        """Stream an object of any size into something that can be written to."""
        with _plain(self.uri(key)):
            self.client.download_fileobj(self.name, key, file)

    def delete(self, keys: Iterable[str]) -> None:
        """Remove objects; those that are not there are removed already."""
        self._delete([{"Key": key} for key in keys])

    def _delete(self, rest: Sequence[Mapping[str, str]]) -> None:
        while rest:
            batch, rest = rest[:_DELETED_AT_ONCE], rest[_DELETED_AT_ONCE:]
            with _plain(self.uri(batch[0]["Key"])):
                answer = self.client.delete_objects(Bucket=self.name, Delete={"Objects": batch, "Quiet": True})
            if errors := answer.get("Errors"):
                raise BucketError(f"{self.uri(errors[0]['Key'])} was not removed: {errors[0]['Message']}.")

    def delete_old_versions(self, prefix: str) -> None:
        """Remove the older versions of objects, and the markers of deleted ones, in a bucket that keeps versions."""
        with _plain(self.uri(prefix)):
            pages = self.client.get_paginator("list_object_versions").paginate(Bucket=self.name, Prefix=prefix)
            old, markers = list[dict[str, str]](), list[dict[str, str]]()
            for page in pages:
                names = ("Key", "VersionId")
                old += [{n: v[n] for n in names} for v in page.get("Versions", []) if not v["IsLatest"]]
                markers += [{n: m[n] for n in names} for m in page.get("DeleteMarkers", [])]
        # Markers come last: an object whose marker goes first would be there again.
        self._delete([*old, *markers])

    def filesystem(self) -> "S3FileSystem":
        """The bucket for pyarrow, which reads parts of files; paths begin with the bucket's name."""
        from boto3 import Session
        from pyarrow.fs import S3FileSystem

        endpoint, region = self._where()
        scheme, _, host = endpoint.partition("://")
        credentials = Session().get_credentials()
        keys = credentials.get_frozen_credentials() if credentials else None
        return S3FileSystem(
            access_key=keys and keys.access_key,
            secret_key=keys and keys.secret_key,
            session_token=keys and keys.token,
            region=region,
            scheme=scheme,
            endpoint_override=host,
        )

    def spark_properties(self) -> dict[str, str]:
        """What makes an embedded Spark session read and write ``s3://`` URIs.

        A task's files get their names when the task ends, not when the job does (algorithm 2): nobody reads a version
        before its manifest is written, and a task that is tried again writes to the same names.
        """
        endpoint, region = self._where()
        modules = (f"software.amazon.awssdk:{module}:{_SDK}" for module in _SDK_MODULES)
        hadoop = {
            "fs.s3.impl": "org.apache.hadoop.fs.s3a.S3AFileSystem",
            "fs.s3a.aws.credentials.provider": "software.amazon.awssdk.auth.credentials.DefaultCredentialsProvider",
            "fs.s3a.endpoint": endpoint,
            "fs.s3a.endpoint.region": region,
            "fs.s3a.path.style.access": str(".amazonaws.com" not in endpoint).lower(),
            # Do not look whether something is in the way: version folders are new, and written by one run.
            "fs.s3a.performance.flags": "create,mkdir",
            "mapreduce.fileoutputcommitter.algorithm.version": "2",
            "mapreduce.fileoutputcommitter.marksuccessfuljobs": "false",
        }
        return {
            "spark.jars.packages": ",".join([f"org.apache.hadoop:hadoop-aws:{_hadoop_version()}", *modules]),
            # The whole SDK in one jar of 690 MB, which Spark would copy at every start; and a second slf4j.
            "spark.jars.excludes": "software.amazon.awssdk:bundle,org.slf4j:slf4j-api",
            **{f"spark.hadoop.{name}": value for name, value in hadoop.items()},
        }

    def _where(self) -> tuple[str, str]:
        """Endpoint and region, as boto3 found them."""
        with _plain(f"s3://{self.name}"):
            return self.client.meta.endpoint_url, self.client.meta.region_name or "us-east-1"


@contextmanager
def _plain(uri: str) -> Iterator[None]:
    """Say in one sentence what went wrong with an object."""
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        status = error.response["ResponseMetadata"].get("HTTPStatusCode")
        kind = {404: ObjectMissingError, 409: ObjectChangedError, 412: ObjectChangedError}.get(status, BucketError)
        raise kind(f"{uri}: {error}") from error
    except (BotoCoreError, Boto3Error) as error:
        raise BucketError(f"{uri}: {error}") from error


def _hadoop_version() -> str:
    """The version of Hadoop that comes with PySpark; hadoop-aws has to be of the same."""
    jars = Path(pyspark.__file__).parent / "jars"
    return next(jars.glob("hadoop-client-api-*.jar")).stem.removeprefix("hadoop-client-api-")
