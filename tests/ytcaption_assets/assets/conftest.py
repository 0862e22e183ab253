"""The asset graph on real parts: Postgres, object store, yt-dlp, the model, the lake."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pytest

from resources.object_store.store import ObjectStore
from resources.orchestration.partitions import transcription_partitions
from resources.transcriptions.run_store import RunStore
from resources.transcriptions.store import RequestStore
from tests.support.servers.media_server import MediaServer
from ytcaption.domain.media.media import MediaSource, url_media_id
from ytcaption.domain.request import TranscriptionOptions
from ytcaption.settings.settings import Settings
from ytcaption_assets.definitions import build_definitions

TINY = TranscriptionOptions(model="tiny.en", language="en")


@dataclass
class Graph:
    """Submits requests and runs them, as the daemon would."""

    settings: Settings
    store: RequestStore
    instance: dg.DagsterInstance

    @property
    def run_store(self) -> RunStore:
        """The store that runs use."""
        return RunStore(postgres=self.store.postgres)

    def submit(self, url: str, options: TranscriptionOptions = TINY, **more) -> str:
        """Return the id of a request for a direct URL."""
        source = MediaSource(url_media_id(url), "direct", url=url, extractor="Generic")
        return self.store.submit(source, options, **more).transcription.id

    def run(
        self, key: str, *, attempt: int | None = None, resources=None, selection=None, tags=None
    ):
        """Run the three assets, or the selected ones."""
        self.instance.add_dynamic_partitions(transcription_partitions.name or "", [key])
        job = build_definitions(self.settings).resolve_job_def("transcribe")
        return job.execute_in_process(
            instance=self.instance,
            partition_key=key,
            raise_on_error=False,
            tags=({"ytcaption/attempt": str(attempt)} if attempt else {}) | (tags or {}),
            resources=resources,
            asset_selection=[dg.AssetKey(name) for name in selection] if selection else None,
        )

    @property
    def objects(self) -> ObjectStore:
        """The object store of the settings."""
        return ObjectStore.from_settings(self.settings)


@pytest.fixture
def media_server() -> Iterator[MediaServer]:
    """The tests' clips over HTTP."""
    with MediaServer() as server:
        yield server


@pytest.fixture
def environment(model_home: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch):
    """Downloads from loopback are allowed; the tests' models are used."""
    monkeypatch.setenv("YTCAPTION_ALLOWED_NETWORKS", "127.0.0.0/8")
    monkeypatch.setenv("YTCAPTION_MODEL_DIRECTORY", str(model_home))
    return monkeypatch


@pytest.fixture
def graph(environment, request_store: RequestStore, instance: dg.DagsterInstance) -> Graph:
    """With a folder as the object store."""
    return Graph(Settings(_env_file=None), request_store, instance)  # pyright: ignore[reportCallIssue]


@pytest.fixture(params=["folder", "s3"])
def graph_on_both(request: pytest.FixtureRequest, graph: Graph, environment) -> Graph:
    """With a folder, and with a bucket."""
    if request.param == "folder":
        return graph
    bucket: ObjectStore = request.getfixturevalue("s3_object_store")
    environment.setenv("YTCAPTION_OBJECT_STORE_URL", bucket.url)
    environment.setenv("YTCAPTION_S3_ENDPOINT_URL", bucket.endpoint_url)
    graph.settings = Settings(_env_file=None)  # pyright: ignore[reportCallIssue]
    return graph
