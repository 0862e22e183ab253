"""The definitions that Dagster loads: assets, jobs, sensors, schedules and their resources."""

import dagster as dg

from resources.audio.decoder import AudioDecoder
from resources.channels.intake import ChannelIntake
from resources.channels.listing.lister import ChannelLister
from resources.channels.runs import ChannelRuns
from resources.download.downloader import Downloader
from resources.download.workspace import Workspace
from resources.embeddings.embedder import has_embeddings
from resources.lake.catalog import TranscriptCatalog
from resources.object_store.store import ObjectStore
from resources.orchestration.console import run_console
from resources.orchestration.executor import run_executor
from resources.orchestration.fixed_resources import fixed_resources
from resources.postgres.connection import Postgres
from resources.postgres.restore_mark import require_settled
from resources.transcriptions.run_store import RunStore
from resources.transcriptions.store import RequestStore
from resources.worker.transcriber import transcriber_of
from sensors.channel_freshness_check import channels_listed_in_time
from sensors.channel_sensor import channel_sensor
from sensors.embedding_sensor import embed_job, embedding_sensor
from sensors.jobs import library_job, list_channel_job, transcribe_job
from sensors.library_schedule import library_schedule
from sensors.maintenance_schedule import maintenance, maintenance_schedule
from sensors.maintenance_sensor import maintenance_sensor
from sensors.run_end_sensor import run_end_sensor
from sensors.run_status_sensor import run_canceled_sensor, run_failed_sensor, run_succeeded_sensor
from sensors.transcription_sensor import transcription_sensor
from ytcaption.settings.settings import (
    Settings,
    load_settings,
)
from ytcaption_assets.assets.audio_download import audio_download
from ytcaption_assets.assets.channel_listing import channel_listing
from ytcaption_assets.assets.lake_maintenance import lake_maintenance
from ytcaption_assets.assets.library_report import library_report
from ytcaption_assets.assets.transcript_embeddings import transcript_embeddings
from ytcaption_assets.assets.transcript_parquet import transcript_parquet
from ytcaption_assets.assets.transcription import transcription


def installation_resources(settings: Settings) -> dict[str, dg.ConfigurableResource]:
    """Return the resources of assets and sensors, by key."""
    postgres = Postgres.from_settings(settings, "dagster")
    return {
        "postgres": postgres,
        "request_store": RequestStore(postgres=postgres),
        "run_store": RunStore(postgres=postgres),
        "channel_runs": ChannelRuns(postgres=postgres),
        "channel_intake": ChannelIntake(postgres=postgres),
        "channel_lister": ChannelLister.from_settings(settings),
        "object_store": ObjectStore.from_settings(settings),
        "workspace": Workspace.from_settings(settings),
        "downloader": Downloader.from_settings(settings),
        "audio_decoder": AudioDecoder.from_settings(settings),
        "transcriber": transcriber_of(settings),
        "transcript_catalog": TranscriptCatalog.from_settings(settings),
    }


def build_definitions(settings: Settings) -> dg.Definitions:
    """Return the code location of one installation.

    Raises:
        SetupError: a restore has not ended.
    """
    require_settled(settings)
    embeds = has_embeddings(settings)
    return dg.Definitions(
        assets=[
            audio_download,
            transcription,
            transcript_parquet,
            *([transcript_embeddings] if embeds else []),
            channel_listing,
            lake_maintenance,
            library_report,
        ],
        asset_checks=[channels_listed_in_time],
        jobs=[
            transcribe_job,
            *([embed_job] if embeds else []),
            list_channel_job,
            library_job,
            maintenance,
        ],
        loggers={"console": run_console},
        executor=run_executor,  # also of runs of single assets that Dagster's page starts
        sensors=[
            transcription_sensor,
            channel_sensor,
            run_end_sensor,
            run_failed_sensor,
            run_canceled_sensor,
            run_succeeded_sensor,
            maintenance_sensor,
            *([embedding_sensor] if embeds else []),
        ],
        schedules=[maintenance_schedule, library_schedule],
        resources=fixed_resources(installation_resources(settings)),
    )


defs = build_definitions(load_settings())
