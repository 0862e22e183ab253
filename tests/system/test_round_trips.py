"""How often a run waits for Postgres: on a slow link each round trip takes as long as the link."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from resources.orchestration import transcription_claim
from resources.postgres.connection import close_pools
from resources.postgres.urls import database_urls
from resources.transcriptions.store import RequestStore
from tests.support.servers.media_server import MediaServer
from tests.support.servers.postgres_servers import DEBIAN_PROGRAMS, DatabaseServer
from tests.support.servers.tcp_proxy import TcpProxy, tcp_proxy
from tests.ytcaption_assets.assets.conftest import Graph
from ytcaption.settings.settings import Settings
from ytcaption_assets.cli.up.dagster_home import dagster_instance

pytestmark = [
    pytest.mark.slow,
    pytest.mark.model,
    pytest.mark.postgres,
    pytest.mark.skipif(not DEBIAN_PROGRAMS, reason="needs Debian's Postgres"),
]

OURS, DAGSTERS = 150, 145
"""Round trips of one run, without heartbeats, progress and the lake's catalog. They may only go
down."""


class Links:
    """A graph whose databases are behind proxies."""

    def __init__(self, graph: Graph, ours: TcpProxy, dagsters: TcpProxy) -> None:
        self.graph, self.ours, self.dagsters = graph, ours, dagsters


@pytest.fixture
def links(
    database_server: DatabaseServer,
    settings: Settings,
    model_home: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Links]:
    """Without heartbeats and progress, which go by time."""
    monkeypatch.setattr(transcription_claim, "HEARTBEAT_S", 600.0)
    monkeypatch.setattr(transcription_claim, "PROGRESS_S", 600.0)
    parameters = conninfo_to_dict(database_server.url)
    target = (str(parameters["host"]), int(parameters["port"]))
    with ExitStack() as stack:
        ours, dagsters = (stack.enter_context(tcp_proxy(target)) for _ in range(2))
        for name, value in {
            "YTCAPTION_DATABASE_URL": make_conninfo(database_server.url, port=ours.port),
            "YTCAPTION_DAGSTER_DATABASE_URL": make_conninfo(
                database_server.url, port=dagsters.port, dbname="dagster"
            ),
            "YTCAPTION_LAKE_DATABASE_URL": database_server.url,
            "YTCAPTION_ALLOWED_NETWORKS": "127.0.0.0/8",
            "YTCAPTION_MODEL_DIRECTORY": str(model_home),
        }.items():
            monkeypatch.setenv(name, value)
        here = Settings(_env_file=None)  # pyright: ignore[reportCallIssue]
        instance = stack.enter_context(dagster_instance(here))
        store = RequestStore.from_settings(here, "admin")
        stack.callback(lambda: close_pools(database_urls(here)))
        yield Links(Graph(here, store, instance), ours, dagsters)


@pytest.mark.parametrize("database_server", [*DEBIAN_PROGRAMS][:1], indirect=True)
def test_a_run_asks_postgres_a_limited_number_of_times(links: Links):
    """Of the second run of a process, whose connections and lake are open."""
    with MediaServer() as media:
        for number in range(2):
            key = links.graph.submit(media.url("jfk.flac", n=number))
            before = links.ours.round_trips, links.dagsters.round_trips
            assert links.graph.run(key, attempt=1).success
        ours, dagsters = links.ours.round_trips - before[0], links.dagsters.round_trips - before[1]
    assert 0 < ours <= OURS, ours
    assert 0 < dagsters <= DAGSTERS, dagsters
