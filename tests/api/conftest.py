"""Fixtures of the API's tests: the app on a real database and a real folder."""

import hashlib
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg
import pytest
import uvicorn
from fastapi.testclient import TestClient
from psycopg.conninfo import conninfo_to_dict
from pydantic import SecretStr

from api.app import create_app
from resources.http_server.uvicorn_protocol import BoundedHttp
from resources.object_store.store import ObjectStore, document_key
from resources.postgres.urls import database_urls
from resources.transcriptions.run_store import RunStore
from resources.transcriptions.store import RequestStore
from tests.api.keys import Keys
from tests.support.transcripts import SPOKEN, transcript_of
from ytcaption.domain.media.media import MediaInfo, MediaSource, StoredAudio
from ytcaption.domain.request import TranscriptionOptions, partition_key
from ytcaption.settings.settings import Settings

BASE_URL = "http://127.0.0.1:8000"
UNKNOWN_ID = f"youtube-dQw4w9WgXcQ.{'a' * 26}"
RUN_ID = "run-1"
AUDIO_KEY, AUDIO = "audio/a.webm", b"0" * 1_000
AUDIO_SHA256 = hashlib.sha256(AUDIO).hexdigest()


@pytest.fixture
def client(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    """Return the app, started, without Dagster."""
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    with TestClient(create_app(settings), base_url=BASE_URL) as client:
        yield client


Start = Callable[..., TestClient]


@pytest.fixture
def start(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Start the app with changed settings, as often as needed, without Dagster."""
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    with ExitStack() as stack:

        def started(**changes: object) -> TestClient:
            app = create_app(settings.changed(**changes))
            return stack.enter_context(TestClient(app, base_url=BASE_URL))

        yield started


@pytest.fixture
def dagster_home(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a DAGSTER_HOME whose storage is the tests' Postgres, database `dagster`."""
    home = tmp_path / "dagster"
    home.mkdir()
    url = database_urls(settings).dagster_storage
    (home / "dagster.yaml").write_text(
        f'storage:\n  postgres:\n    postgres_url: "{url}"\ntelemetry:\n  enabled: false\n'
    )
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    return home


class DatabaseSwitch:
    """The tests' Postgres behind a socket of its own, which can be removed and restored.
    Attributes: `settings` connect through it."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        assert settings.storage.database_url is not None
        self._url = settings.storage.database_url.get_secret_value()
        parameters = conninfo_to_dict(self._url)
        name = ".s.PGSQL.5432"
        self._there, self._link = Path(str(parameters["host"])) / name, folder / name
        self.settings = settings.changed(
            database_url=SecretStr(
                f"postgresql://{parameters['user']}@/{parameters['dbname']}?host={folder}"
            )
        )
        self.on()

    def on(self) -> None:
        """Let Postgres answer."""
        self._link.symlink_to(self._there)

    def off(self) -> None:
        """Stop Postgres from answering: no new connections, and existing ones are cut."""
        self._link.unlink()
        with psycopg.connect(self._url, autocommit=True) as connection:
            connection.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity "
                "where datname = current_database() and pid <> pg_backend_pid()"
            )


@pytest.fixture
def database_switch(settings: Settings) -> Iterator[DatabaseSwitch]:
    """Yield a switch that is on."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:  # short, as socket paths must be
        yield DatabaseSwitch(settings, Path(folder))


class World:
    """Brings transcriptions into the state that a test needs, through the store that runs use."""

    def __init__(self, request_store: RequestStore, object_store: ObjectStore) -> None:
        self.request_store = request_store
        self.run_store = RunStore(postgres=request_store.postgres)
        self.object_store = object_store

    def queued(self, media_id: str = "youtube-dQw4w9WgXcQ", title: str | None = None) -> str:
        """Return an id that was requested."""
        source = MediaSource(
            media_id, "site", f"https://www.youtube.com/watch?v={media_id[-11:]}", "Youtube", title
        )
        options = TranscriptionOptions(model="base")
        self.request_store.submit(source, options)
        return partition_key(media_id, options)

    def running(self, **values: str) -> str:
        """Return an id that a run works on."""
        id = self.queued(**values)
        self.run_store.claim(id, RUN_ID)
        return id

    def failed(self, code: str = "media_private", message: str = "The video is private.") -> str:
        """Return an id that failed permanently."""
        id = self.running()
        self.run_store.fail(id, RUN_ID, code, message, retryable=False, max_attempts=4)
        return id

    def completed(self, *, title: str | None = "Ask not", spoken: tuple[str, ...] = SPOKEN) -> str:
        """Return an id with a result."""
        id = self.running()
        self.describe(id, title=title)
        transcript = transcript_of(id, spoken)
        written = self.object_store.write_bytes(document_key(id), transcript.to_json())
        self.run_store.transcript_stored(id, RUN_ID, transcript, document_key(id), written.sha256)
        self.run_store.complete(id, RUN_ID)
        return id

    def describe(self, id: str, *, title: str | None, stated_s: float | None = 11.0) -> None:
        """Store the audio of the media, with the title and duration that its source states."""
        audio = StoredAudio(
            AUDIO_KEY, AUDIO_SHA256, len(AUDIO), 11.0, "opus", "matroska,webm", 48_000, 2
        )
        info = MediaInfo(title=title, channel="JFK Library", duration_s=stated_s)
        self.run_store.audio_stored(id, RUN_ID, info, audio)


@pytest.fixture
def world(request_store: RequestStore, object_store: ObjectStore) -> World:
    """Return an empty world."""
    return World(request_store, object_store)


@pytest.fixture
def keys(settings: Settings) -> Keys:
    """Return keys of several callers. Request it before the client, so that the app knows them."""
    return Keys(settings)


@contextmanager
def serving(settings: Settings, port: int = 0) -> Iterator[str]:
    """Serve the app over real HTTP on loopback."""
    config = uvicorn.Config(
        create_app(settings),
        host="127.0.0.1",
        port=port,
        http=BoundedHttp,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=2,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, name="uvicorn")
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the server did not start"
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture
def server_url(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Yield the URL of a server without Dagster."""
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    with serving(settings) as url:
        yield url


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect browser tests if there is no Chromium; pytest reports how many."""
    if shutil.which("chromium") and shutil.which("chromedriver"):
        return
    kept = [item for item in items if item.get_closest_marker("browser") is None]
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = kept
