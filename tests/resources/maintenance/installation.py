"""An installation that tests damage: real Postgres, Dagster on it, object store, lake."""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pytest

from resources.maintenance.check import Check, Finding, Installation, examine
from resources.object_store.store import ObjectStore
from resources.orchestration.partitions import transcription_partitions
from resources.orchestration.tags import (
    PARTITION_TAG,
    RUN_KEY_TAG,
)
from resources.transcriptions.reads import get_transcription
from resources.transcriptions.store import RequestStore
from sensors.jobs import transcribe_job
from tests.api.conftest import dagster_home  # noqa: F401 - a fixture
from tests.resources.maintenance.test_erasure import Here
from ytcaption.domain.request import run_key
from ytcaption.settings.settings import Settings

PARTITIONS = transcription_partitions.name or ""


@dataclass
class House:
    """The installation, and methods that put it into a state."""

    installation: Installation
    here: Here

    @property
    def instance(self) -> dg.DagsterInstance:
        """Dagster's instance."""
        return self.installation.instance

    @property
    def objects(self) -> ObjectStore:
        """The object store."""
        return self.installation.objects

    def run_of(self, id: str, status: dg.DagsterRunStatus, attempt: int = 1) -> dg.DagsterRun:
        """A run as the daemon makes it for an attempt, with that status."""
        return self.instance.create_run_for_job(
            transcribe_job_def(),
            status=status,
            tags={PARTITION_TAG: id, RUN_KEY_TAG: run_key(id, attempt)},
        )

    def execute(self, statement: str, **values: object) -> None:
        """Change rows as the superuser."""
        with self.here.store.postgres.transaction() as connection:
            connection.execute(statement, values)

    def age(self, id: str, days: float) -> None:
        """Move everything that happened some days back."""
        media_id = get_transcription(self.here.store.postgres, id).media_id
        for statement in (
            "update ytcaption.transcription set updated_at = updated_at - %(by)s::interval "
            "where id = %(id)s",
            "update ytcaption.request set created_at = created_at - %(by)s::interval "
            "where transcription_id = %(id)s",
            "update ytcaption.media set audio_stored_at = audio_stored_at - %(by)s::interval "
            "where id = %(media_id)s",
        ):
            self.execute(statement, by=f"{days} days", id=id, media_id=media_id)

    def look(self, check: Check) -> Finding:
        """What a check finds, changing nothing."""
        return examine(self.installation, check, repair=False)

    def repair(self, check: Check) -> Finding:
        """What a check finds and repairs."""
        return examine(self.installation, check, repair=True)


def transcribe_job_def() -> dg.JobDefinition:
    """The job as the code location has it."""
    from ytcaption_assets.assets.audio_download import audio_download
    from ytcaption_assets.assets.transcript_parquet import transcript_parquet
    from ytcaption_assets.assets.transcription import transcription

    definitions = dg.Definitions(
        assets=[audio_download, transcription, transcript_parquet],
        jobs=[transcribe_job],
        resources=dict.fromkeys(
            (
                "run_store", "object_store", "workspace", "downloader", "audio_decoder",
                "transcriber", "transcript_catalog",
            ),
            dg.ResourceDefinition.none_resource(),
        ),
    )  # fmt: skip
    return definitions.resolve_job_def("transcribe")


def make_old(path: Path, hours: float = 48) -> None:
    """Set the time of the last change back."""
    at = time.time() - hours * 3600
    os.utime(path, (at, at))


@pytest.fixture
def clean_instance(dagster_home: Path) -> Iterator[dg.DagsterInstance]:
    """Dagster in the tests' Postgres, empty."""
    with dg.DagsterInstance.get() as instance:
        instance.wipe()
        for id in instance.get_dynamic_partitions(PARTITIONS):
            instance.delete_dynamic_partition(PARTITIONS, id)
        yield instance


@pytest.fixture
def house(
    settings: Settings,
    clean_instance: dg.DagsterInstance,
    request_store: RequestStore,
    object_store: ObjectStore,
) -> House:
    """With a folder as the object store."""
    installation = Installation.of(settings, clean_instance)
    return House(installation, Here(request_store, object_store, settings))
