"""Where the lake's Parquet files are stored, and how DuckDB reads and writes them."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from resources.lake.extensions import load_extensions
from ytcaption.domain.errors import SetupError
from ytcaption.settings.settings import Settings

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
        """Return the lake's storage, below the object store."""
        return cls(
            _data_path(settings.store_url),
            settings.storage.s3_endpoint_url,
            settings.storage.s3_region,
        )

    @property
    def is_local(self) -> bool:
        """Return whether it is a folder of this machine."""
        return not self.data_path.startswith("s3://")

    def prepare(self, database: "DuckDBPyConnection") -> None:
        """Create the folder, or load DuckDB's S3 extension.

        Raises:
            SetupError: the folder cannot be created, or the extension cannot be loaded.
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
        """Pass boto3's credentials to DuckDB as a secret; called before each use, as they expire.

        Raises:
            SetupError: there are no credentials.
        """
        if self.is_local:
            return
        credentials = _credentials().get_frozen_credentials()
        options = {
            "key_id": credentials.access_key,
            "secret": credentials.secret_key,
            "session_token": credentials.token,
            "region": self.region,
            "scope": self.data_path,
        }
        use_ssl = ""
        if self.endpoint_url:
            endpoint = urlsplit(self.endpoint_url)
            options |= {"endpoint": endpoint.netloc + endpoint.path, "url_style": "path"}
            use_ssl = f", use_ssl {endpoint.scheme == 'https'}"
        option_list = ", ".join(
            f"{name} {quoted(value)}" for name, value in options.items() if value
        )
        database.execute(f"create or replace secret lake_files (type s3, {option_list}{use_ssl})")


@cache
def _credentials() -> "Credentials":
    """Return boto3's credentials, which renew themselves; looked up once per process."""
    import boto3

    credentials = boto3.Session().get_credentials()
    if credentials is None:
        raise SetupError(
            "No S3 credentials found. Set them as for the AWS command line, such as "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
        )
    return credentials


def _data_path(store_url: str) -> str:
    if store_url.startswith("s3://"):
        return store_url.rstrip("/") + "/lake/"
    folder = unquote(urlsplit(store_url).path) if store_url.startswith("file:") else store_url
    return f"{Path(folder).expanduser().absolute() / 'lake'}/"


def quoted(text: str) -> str:
    """Return a DuckDB string literal."""
    return "'" + text.replace("'", "''") + "'"
