"""The jobs: a transcription, its assets in one process; a look at a channel; the library."""

import dagster as dg

from resources.orchestration.console import CONSOLE_CONFIG
from resources.orchestration.executor import run_executor
from resources.orchestration.runs import LISTING_ASSET, LISTING_JOB
from resources.orchestration.tags import JOB_TAG

EMBED_JOB = "embed"
"""Its op and sensor: `sensors/embedding_sensor.py`."""

transcribe_job = dg.define_asset_job(
    "transcribe",
    # The group is empty where nothing is embedded.
    selection=dg.AssetSelection.assets("audio_download", "transcription", "transcript_parquet")
    | dg.AssetSelection.groups("embeddings"),
    executor_def=run_executor,  # the multiprocess executor costs 11 s for three steps
    config=CONSOLE_CONFIG,
    tags={JOB_TAG: "transcribe"},
    description="A media and its options become captions, a document and rows of the lake.",
)

library_job = dg.define_asset_job(
    "library",
    selection=dg.AssetSelection.assets("lake_maintenance", "library_report"),
    executor_def=run_executor,
    config=CONSOLE_CONFIG,
    description="The lake is maintained and compared with Postgres, and the library reported on.",
)

list_channel_job = dg.define_asset_job(
    LISTING_JOB,
    selection=dg.AssetSelection.assets(LISTING_ASSET),
    executor_def=run_executor,
    config=CONSOLE_CONFIG,
    tags={JOB_TAG: LISTING_JOB},
    description="What a channel lists becomes items and requests for transcriptions.",
)
