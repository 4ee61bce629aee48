"""Large values in an S3 bucket, by boto3, whose own settings say where that is and who asks."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Final

from stdops import StdopsError
from workers.payload_address import Bucket
from workers.payload_store.places import Kept

_PAGE: Final = 1000


def open_bucket(bucket: Bucket) -> "S3Place":
    """Return a bucket as a place; nothing is asked of it yet.

    Raises:
        StdopsError: boto3 is missing, or its settings are wrong (SOP530).
    """
    try:
        import boto3
    except ImportError:
        raise _unusable(bucket, "boto3 is missing", "install stdops[s3]") from None
    with _told(bucket):
        # boto3 makes its clients at run time, so that there is nothing to check them by
        made: Any = boto3
        return S3Place(bucket, made.client("s3"))


class S3Place:
    """A bucket, or what has a prefix in it; see `Place`. `client` is boto3's, used by threads."""

    def __init__(self, bucket: Bucket, client: Any) -> None:
        self._bucket = bucket
        self._client = client

    @property
    def address(self) -> str:
        """The bucket and the prefix."""
        return "/".join(filter(None, ("s3:/", *self._bucket)))

    def put(self, key: str, data: bytes) -> None:
        """Put an object; one that is there is put again, which renews its time."""
        with _told(self._bucket):
            self._client.put_object(**self._named(key), Body=data)

    def get(self, key: str) -> bytes | None:
        """Get an object."""
        from botocore.exceptions import ClientError

        with _told(self._bucket):
            try:
                return self._client.get_object(**self._named(key))["Body"].read()
            except ClientError as error:
                told: Any = error.response
                if told.get("Error", {}).get("Code") == "NoSuchKey":
                    return None
                raise

    def remove(self, key: str) -> None:
        """Delete an object."""
        with _told(self._bucket):
            self._client.delete_object(**self._named(key))

    def kept(self) -> Generator[Kept]:
        """Tell the objects, page by page."""
        more: dict[str, str] = {}
        while True:
            with _told(self._bucket):
                page = self._list(more)
            for found in page.get("Contents", ()):
                key = found["Key"].removeprefix(self._prefix)
                yield Kept(key, found["Size"], found["LastModified"].timestamp())
            if not page.get("IsTruncated"):
                return
            more = {"ContinuationToken": page["NextContinuationToken"]}

    @property
    def _prefix(self) -> str:
        return f"{self._bucket.prefix}/" if self._bucket.prefix else ""

    def _named(self, key: str) -> dict[str, str]:
        return {"Bucket": self._bucket.name, "Key": self._prefix + key}

    def _list(self, more: dict[str, str]) -> dict[str, Any]:
        return self._client.list_objects_v2(
            Bucket=self._bucket.name, Prefix=self._prefix, MaxKeys=_PAGE, **more
        )


@contextmanager
def _told(bucket: Bucket) -> Generator[None]:
    """Turn boto3's errors into ours."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (BotoCoreError, ClientError) as error:
        fix = "check the bucket, AWS_ENDPOINT_URL, AWS_REGION and the credentials"
        raise _unusable(bucket, str(error), fix) from None


def _unusable(bucket: Bucket, why: str, fix: str) -> StdopsError:
    what = f"the payload store cannot be used: {why}"
    return StdopsError("SOP530", what, where=f"s3://{bucket.name}", fix=fix)
