"""The job that makes one transcription: three assets, one process."""

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
