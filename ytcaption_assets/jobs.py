"""The jobs: one makes a transcription, three assets in one process; one looks after the library."""

import dagster as dg

from ytcaption_assets.run_console import CONSOLE_CONFIG
from ytcaption_assets.run_executor import run_executor

transcribe_job = dg.define_asset_job(
    "transcribe",
    selection=dg.AssetSelection.assets("audio_download", "transcription", "transcript_parquet"),
    executor_def=run_executor,  # the multiprocess executor costs 11 s for three steps
    config=CONSOLE_CONFIG,
    description="A media and its options become captions, a document and rows of the lake.",
)

library_job = dg.define_asset_job(
    "library",
    selection=dg.AssetSelection.assets("lake_maintenance", "library_report"),
    executor_def=run_executor,
    config=CONSOLE_CONFIG,
    description="The lake is maintained and compared with Postgres, and the library reported on.",
)
