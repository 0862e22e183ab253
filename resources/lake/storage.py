"""Where the lake's Parquet files lie, and DuckDB's way to them."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from resources.lake.extensions import load_extensions
from ytcaption.domain.errors import SetupError
from ytcaption.settings import Settings

if TYPE_CHECKING:
    from botocore.credentials import Credentials
    from duckdb import DuckDBPyConnection


@dataclass(frozen=True)
class LakeStorage:
    """A folder or a bucket.

    Attributes:
        data_path: DuckLake's DATA_PATH: `s3://bucket/prefix/lake/`, or a folder with a slash.
    """

    data_path: str
    endpoint_url: str | None
    region: str

    @classmethod
    def of(cls, settings: Settings) -> "LakeStorage":
        """Below the object store."""
        return cls(_data_path(settings.store_url), settings.s3_endpoint_url, settings.s3_region)

    @property
    def is_local(self) -> bool:
        """Whether it is a folder of this machine."""
        return not self.data_path.startswith("s3://")

    def prepare(self, database: "DuckDBPyConnection") -> None:
        """Make the folder, or teach DuckDB S3.

        Raises:
            SetupError: the folder cannot be made, or the extension cannot be loaded.
        """
        if not self.is_local:
            load_extensions(database, "httpfs")
            return
        try:
            Path(self.data_path).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SetupError(
                "The object store's folder cannot be written. Check YTCAPTION_OBJECT_STORE_URL or "
                "YTCAPTION_HOME."
            ) from error

    def give_access(self, database: "DuckDBPyConnection") -> None:
        """boto3's credentials as DuckDB's secret; again and again, since they may expire.

        Raises:
            SetupError: there are none.
        """
        if self.is_local:
            return
        frozen = _credentials().get_frozen_credentials()
        options = {
            "key_id": frozen.access_key,
            "secret": frozen.secret_key,
            "session_token": frozen.token,
            "region": self.region,
            "scope": self.data_path,
        }
        switches = ""
        if self.endpoint_url:
            endpoint = urlsplit(self.endpoint_url)
            options |= {"endpoint": endpoint.netloc + endpoint.path, "url_style": "path"}
            switches = f", use_ssl {endpoint.scheme == 'https'}"
        listed = ", ".join(f"{name} {quoted(value)}" for name, value in options.items() if value)
        database.execute(f"create or replace secret lake_files (type s3, {listed}{switches})")


@cache
def _credentials() -> "Credentials":
    """boto3's, which renew themselves; looked for once a process."""
    import boto3

    found = boto3.Session().get_credentials()
    if found is None:
        raise SetupError(
            "No S3 credentials found. Set them as for the AWS command line, such as "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
        )
    return found


def _data_path(store_url: str) -> str:
    if store_url.startswith("s3://"):
        return store_url.rstrip("/") + "/lake/"
    folder = unquote(urlsplit(store_url).path) if store_url.startswith("file:") else store_url
    return f"{Path(folder).expanduser().absolute() / 'lake'}/"


def quoted(text: str) -> str:
    """A DuckDB string literal."""
    return "'" + text.replace("'", "''") + "'"
