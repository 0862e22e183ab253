"""Where an installation lives, and how all that it stores is destroyed."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from resources.postgres.embedded import running_postgres
from resources.postgres.urls import database_urls
from tests.support.servers.postgres_servers import DEBIAN_PROGRAMS, started_server
from tests.support.servers.s3_server import CREDENTIALS, s3_server
from ytcaption.settings.settings import Settings


@dataclass(frozen=True)
class Place:
    """One place.

    Attributes:
        environment: settings of its processes.
        settings: the same, for this process.
        remove_objects: removes all audio, documents and files of the lake.
    """

    name: str
    environment: dict[str, str]
    settings: Settings
    remove_objects: Callable[[], None]

    def execute(self, *statements: str) -> None:
        """Run SQL as the owner of everything, while no `up` runs."""
        with running_postgres(self.settings):
            url = database_urls(self.settings).admin
            with psycopg.connect(url, autocommit=True) as connection:
                for statement in statements:
                    connection.execute(statement.encode())


@contextmanager
def in_a_home(home: Path) -> Iterator[Place]:
    """Yield a home with its own Postgres and a folder of objects."""
    settings = Settings(home=home, _env_file=None)  # pyright: ignore[reportCallIssue]
    yield Place(
        "one machine", {}, settings, lambda: shutil.rmtree(home / "objects", ignore_errors=True)
    )


@contextmanager
def on_servers(home: Path) -> Iterator[Place]:
    """Yield a Postgres of Debian and an S3. The tables of the previous version are made by it."""
    with ExitStack() as stack:
        server = stack.enter_context(started_server(next(iter(DEBIAN_PROGRAMS)), is_migrated=False))
        owner = conninfo_to_dict(server.url)["user"]
        administrator = make_conninfo(server.superuser_url, dbname="postgres")
        with psycopg.connect(administrator, autocommit=True) as connection:
            for name in ("ytcaption", "dagster"):  # as docs/how-to/use-postgres-and-s3.md says
                connection.execute(
                    sql.SQL("create database {} owner {}").format(
                        *map(sql.Identifier, (name, owner))
                    )
                )
        s3 = stack.enter_context(s3_server())
        bucket = s3.make_bucket()
        environment = {
            "YTCAPTION_DATABASE_URL": server.url,
            "YTCAPTION_OBJECT_STORE_URL": f"s3://{bucket}/store",
            "YTCAPTION_S3_ENDPOINT_URL": s3.url,
            **CREDENTIALS,
        }
        settings = Settings(
            _env_file=None,  # pyright: ignore[reportCallIssue]
            home=home,
            database_url=server.url,  # pyright: ignore[reportArgumentType]
            object_store_url=f"s3://{bucket}/store",
            s3_endpoint_url=s3.url,
        )

        def remove_objects() -> None:
            s3_resource: Any = boto3.resource(
                "s3",
                endpoint_url=s3.url,
                region_name="us-east-1",
                aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
                aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
            )
            s3_resource.Bucket(bucket).objects.all().delete()

        yield Place("Postgres and S3", environment, settings, remove_objects)
