"""Jobs on assets: a transcription, the listing of a channel, the library."""

import dagster as dg

from resources.orchestration.console import CONSOLE_CONFIG
from resources.orchestration.executor import run_executor
from resources.orchestration.runs import LISTING_ASSET, LISTING_JOB
from resources.orchestration.tags import JOB_TAG

EMBED_JOB = "embed"
"""Defined in `sensors/embedding_sensor.py`."""

transcribe_job = dg.define_asset_job(
    "transcribe",
    # The group is empty if embeddings are off.
    selection=dg.AssetSelection.assets("audio_download", "transcription", "transcript_parquet")
    | dg.AssetSelection.groups("embeddings"),
    executor_def=run_executor,  # the multiprocess executor costs 11 s for three steps
    config=CONSOLE_CONFIG,
    tags={JOB_TAG: "transcribe"},
    description="Makes captions, a document and rows of the lake from a media item and options.",
)

library_job = dg.define_asset_job(
    "library",
    selection=dg.AssetSelection.assets("lake_maintenance", "library_report"),
    executor_def=run_executor,
    config=CONSOLE_CONFIG,
    description="Maintains the lake, compares it with Postgres, and writes the library report.",
)

list_channel_job = dg.define_asset_job(
    LISTING_JOB,
    selection=dg.AssetSelection.assets(LISTING_ASSET),
    executor_def=run_executor,
    config=CONSOLE_CONFIG,
    tags={JOB_TAG: LISTING_JOB},
    description="Lists a channel and requests transcriptions of its new items.",
)
