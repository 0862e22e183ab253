"""The asset `transcript_embeddings`, in the job if embeddings are on."""

import dagster as dg
import pytest

from resources.embeddings.embedder import embedder_of
from resources.transcriptions.reads import get_transcription
from tests.support.embedding import TOY, needs_model
from tests.support.library import add_said
from tests.support.servers.embedding_worker import embedding_worker
from tests.support.servers.media_server import MediaServer
from tests.ytcaption_assets.assets.conftest import Graph
from ytcaption.domain.request import TranscriptionStatus
from ytcaption.settings.settings import Settings
from ytcaption_assets.definitions import build_definitions


@pytest.fixture
def embedding_graph(graph: Graph, environment: pytest.MonkeyPatch) -> Graph:
    """With the asset in its job."""
    environment.setenv("YTCAPTION_EMBEDDINGS", "on")
    graph.settings = Settings(_env_file=None)  # pyright: ignore[reportCallIssue]
    return graph


def embedded(graph: Graph) -> list[dict]:
    return graph.store.postgres.rows("select * from ytcaption.embedding", {})


def test_the_asset_exists_if_embeddings_are_on() -> None:
    """It comes last, has its group and pool; otherwise the job does not contain it."""
    on, off = (Settings(embeddings=each, _env_file=None) for each in ("on", "off"))  # pyright: ignore
    graph = build_definitions(on).get_repository_def().asset_graph
    [key] = [key for key in graph.get_all_asset_keys() if "embeddings" in key.to_user_string()]
    node = graph.get(key)
    assert {each.to_user_string() for each in node.parent_keys} == {
        "transcription",
        "transcript_parquet",
    }
    assert node.assets_def.op.pool == "embedding"
    assert node.kinds and node.owners and node.description
    for settings, steps in ((on, 4), (off, 3)):
        repository = build_definitions(settings).get_repository_def()
        assert len(repository.get_job("transcribe").graph.node_dict) == steps
        assert repository.has_job("embed") is (settings is on)
        sensors = {sensor.name: sensor.default_status for sensor in repository.sensor_defs}
        is_running = sensors.get("embedding_sensor") is dg.DefaultSensorStatus.RUNNING
        assert is_running is (settings is on)


@pytest.mark.model
@needs_model
def test_a_run_embeds_what_it_has_transcribed(
    embedding_graph: Graph, media_server: MediaServer
) -> None:
    """It does so as its last step, with numbers in its metadata."""
    key = embedding_graph.submit(media_server.url("jfk.flac"))
    result = embedding_graph.run(key, attempt=1)
    assert result.success
    [made] = result.asset_materializations_for_node("transcript_embeddings")
    assert made.metadata["passages"].value == 1
    assert made.metadata["model_revision"].value == embedder_of("all-MiniLM-L6-v2").model.revision
    assert [row["transcription_id"] for row in embedded(embedding_graph)] == [key]


@pytest.mark.slow
def test_a_worker_embeds_for_a_run(embedding_graph: Graph, environment: pytest.MonkeyPatch) -> None:
    """Nothing is loaded in the run, which needs no extra."""
    environment.setenv("YTCAPTION_EMBEDDING_MODEL", TOY.name)
    environment.setattr("resources.embeddings.embedder.is_installed", lambda: False)
    key = add_said(embedding_graph.store, "a", "a puppy")
    with embedding_worker(embedding_graph.settings):
        result = embedding_graph.run(key, selection=["transcript_embeddings"])
    [made] = result.asset_materializations_for_node("transcript_embeddings")
    assert (made.metadata["model"].value, made.metadata["passages"].value) == ("toy", 1)
    assert [row["transcription_id"] for row in embedded(embedding_graph)] == [key]


@pytest.mark.slow
@pytest.mark.model
def test_an_embedding_error_fails_no_transcription(
    embedding_graph: Graph, media_server: MediaServer, environment: pytest.MonkeyPatch
) -> None:
    """The run succeeds without a materialization; the command embeds it later."""
    environment.setattr("resources.embeddings.embedder.is_installed", lambda: False)
    embedder_of.cache_clear()
    key = embedding_graph.submit(media_server.url("jfk.flac"))
    result = embedding_graph.run(key, attempt=1)
    assert result.success
    assert (
        get_transcription(embedding_graph.store.postgres, key).status
        is TranscriptionStatus.COMPLETED
    )
    assert result.asset_materializations_for_node("transcript_embeddings") == []
    assert embedded(embedding_graph) == []
