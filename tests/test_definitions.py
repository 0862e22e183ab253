"""The code location as Dagster sees it."""

import subprocess
import sys

import dagster as dg
import pytest

from resources.orchestration.ticks import SCHEDULES, SENSORS
from ytcaption.settings.settings import Settings
from ytcaption_assets.definitions import build_definitions


@pytest.fixture(scope="module")
def repository() -> dg.RepositoryDefinition:
    return build_definitions(Settings(embeddings="off")).get_repository_def()


def test_the_asset_keys_are_pinned(repository):
    """Renaming an asset loses its history: this is the list."""
    keys = {key.to_user_string() for key in repository.asset_graph.get_all_asset_keys()}
    assert keys == {
        "audio_download",
        "transcription",
        "transcript_parquet",
        "channel_listing",
        "lake_maintenance",
        "library_report",
    }


def test_the_lineage_is_a_line(repository):
    """audio_download -> transcription -> transcript_parquet -> the library; channels beside."""
    graph = repository.asset_graph
    parents = {
        key.to_user_string(): {parent.to_user_string() for parent in graph.get(key).parent_keys}
        for key in graph.get_all_asset_keys()
    }
    assert parents == {
        "audio_download": set(),
        "transcription": {"audio_download"},
        "transcript_parquet": {"transcription"},
        "lake_maintenance": {"transcript_parquet"},
        "library_report": {"lake_maintenance"},
        "channel_listing": set(),
    }


def test_every_asset_has_kinds_owners_and_a_description(repository):
    """The lineage shows what each asset is, and who is responsible for it."""
    graph = repository.asset_graph
    for key in graph.get_all_asset_keys():
        node = graph.get(key)
        assert node.kinds and node.owners and node.description


def test_downloads_and_transcriptions_have_pools(repository):
    """Their number at a time can be limited."""
    graph = repository.asset_graph
    pools = {
        key.to_user_string(): graph.get(key).assets_def.op.pool
        for key in graph.get_all_asset_keys()
    }
    assert pools["audio_download"] == "download"
    assert pools["transcription"] == "transcription"
    assert pools["channel_listing"] == "listing"


def test_the_sensors_run_without_being_switched_on(repository):
    """A new installation works at once."""
    assert {sensor.name for sensor in repository.sensor_defs} >= {
        "transcription_sensor",
        "channel_sensor",
        "run_failed_sensor",
        "run_canceled_sensor",
        "run_succeeded_sensor",
    }
    assert all(
        sensor.default_status is dg.DefaultSensorStatus.RUNNING for sensor in repository.sensor_defs
    )


HEAVY = [
    *("torch", "faster_whisper", "ctranslate2", "yt_dlp", "pandas", "duckdb", "pyarrow"),
    *("av", "matplotlib"),
]
SLOW_FOR_A_COMMAND = [*HEAVY, "dagster", "psycopg", "pydantic", "fastapi", "numpy"]


@pytest.mark.long
@pytest.mark.parametrize(
    ("module", "unwanted"),
    [
        ("ytcaption_assets.definitions", HEAVY),
        ("api.app", HEAVY),
        ("ytcaption_assets.cli.main", SLOW_FOR_A_COMMAND),
    ],
)
def test_nothing_heavy_is_imported_at_start(module: str, unwanted: list[str]):
    """The code location and the API start without engines and tables, commands without drivers."""
    code = f"import sys, {module}; print([m for m in {unwanted} if m in sys.modules])"
    out = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout
    assert out.strip() == "[]"


def test_the_watched_sensors_and_schedules_are_all_there_are(repository):
    """Another one would stand still unnoticed."""
    intervals = {each.name: each.minimum_interval_seconds for each in repository.sensor_defs}
    assert intervals | {"embedding_sensor": 60} == SENSORS
    assert {each.name for each in repository.schedule_defs} == set(SCHEDULES)
    assert {each.execution_timezone for each in repository.schedule_defs} <= {None, "UTC"}
