"""Fixtures of all tests: settings of a fresh home, a clean database, empty object stores."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest

from resources.processes.native_threads import decoding_environment
from resources.transcriptions.run_store import RunStore

# As in the product's processes, and before numpy is imported: with other threads the same recording
# is transcribed slightly differently.
os.environ.update(decoding_environment(os.environ))

from resources.object_store.store import ObjectStore
from resources.postgres.connection import Postgres, close_pools
from resources.postgres.urls import database_urls
from resources.transcriptions.store import RequestStore
from tests.support.model_home import base_model_home, model_home  # noqa: F401 - fixtures
from tests.support.paths import TESTS
from tests.support.servers.postgres_servers import (
    DatabaseServer,
    started_server,
)
from tests.support.servers.s3_server import CREDENTIALS, S3Server, s3_server
from tests.support.servers.youtube_host import youtube, youtube_certificate  # noqa: F401 - fixtures
from ytcaption.settings.settings import Settings

if TYPE_CHECKING:
    import dagster as dg

# In the background SIGINT is ignored; Dagster gives SIGTERM the same handler, and every process
# that a test starts would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


# How long an input takes to generate is the machine's load, not a fault of the code.
hypothesis.settings.register_profile(
    "loaded machine",
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("loaded machine")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whole systems first: a few slow files at the end would leave all but one process idle."""
    slow_first = (
        *("docs", "chaos", "system", "ytcaption_assets/cli", "ytcaption_assets/assets"),
        *("ytcaption/client", "security", "api", "resources"),
    )

    def rank(item: pytest.Item) -> int:
        folder = item.path.parent.relative_to(TESTS).as_posix() + "/"
        places = (at for at, name in enumerate(slow_first) if folder.startswith(f"{name}/"))
        return next(places, len(slow_first))

    items.sort(key=rank)


@pytest.fixture(scope="session")
def database_servers() -> Iterator[Callable[[str], DatabaseServer]]:
    """Servers by name, each started once, when it is first asked for."""
    servers: dict[str, DatabaseServer] = {}
    with ExitStack() as stack:

        def server(name: str) -> DatabaseServer:
            if name not in servers:
                servers[name] = stack.enter_context(started_server(name))
            return servers[name]

        yield server


@pytest.fixture
def database_server(
    request: pytest.FixtureRequest, database_servers: Callable[[str], DatabaseServer]
) -> Iterator[DatabaseServer]:
    """A migrated server with empty tables: the embedded one, unless parametrised by name."""
    if request.node.get_closest_marker("unit"):
        pytest.fail("a test marked unit needs no Postgres; remove the mark or the fixture")
    server = database_servers(getattr(request, "param", "embedded"))
    server.clean()
    yield server


@pytest.fixture
def settings(
    database_server: DatabaseServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Settings]:
    """A fresh home and the tests' database. The environment says the same, for child processes and
    for resources that Dagster makes."""
    for name in list(os.environ):
        if name.startswith("YTCAPTION_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("YTCAPTION_EMBEDDINGS", "off")  # also where the extra is installed
    monkeypatch.setenv("YTCAPTION_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("YTCAPTION_DATABASE_URL", database_server.url)
    settings = Settings(_env_file=None)  # pyright: ignore[reportCallIssue]
    yield settings
    close_pools(database_urls(settings))


@pytest.fixture
def postgres(settings: Settings) -> Postgres:
    """Transactions with the rights of runs and sensors."""
    return Postgres.from_settings(settings, "dagster")


@pytest.fixture
def request_store(settings: Settings) -> RequestStore:
    """The store with all rights, its tables empty."""
    return RequestStore.from_settings(settings, "admin")


@pytest.fixture
def run_store(settings: Settings) -> RunStore:
    """The store of runs with all rights."""
    return RunStore.from_settings(settings, "admin")


@pytest.fixture
def object_store(settings: Settings) -> ObjectStore:
    """An empty folder."""
    return ObjectStore.from_settings(settings)


@pytest.fixture
def instance() -> Iterator["dg.DagsterInstance"]:
    """Dagster's storage in memory: each SQLite file takes a second of migrations."""
    import dagster as dg

    with dg.DagsterInstance.ephemeral() as found:
        yield found


@pytest.fixture(scope="session")
def s3() -> Iterator[S3Server]:
    """moto's S3 over HTTP, on loopback."""
    with s3_server() as server:
        yield server


@pytest.fixture
def s3_object_store(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> ObjectStore:
    """A new bucket; the environment holds its credentials."""
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    return ObjectStore(url=f"s3://{s3.make_bucket()}/store", endpoint_url=s3.url)
