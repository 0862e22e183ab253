"""Asset `library_report`: growth, languages, delays and failures, one page per day."""

import base64

import dagster as dg

from resources.lake.catalog import TranscriptCatalog
from resources.object_store.store import ObjectStore
from resources.postgres.connection import Postgres
from resources.reports.report import make_report, store_report


@dg.asset(
    deps=["lake_maintenance"],
    kinds={"html", "duckdb"},
    owners=["team:analytics"],
    group_name="library",
)
def library_report(
    context: dg.AssetExecutionContext,
    postgres: Postgres,
    object_store: ObjectStore,
    transcript_catalog: TranscriptCatalog,
) -> dg.MaterializeResult:
    """The library as one HTML page under `reports/`; its plots are in the metadata, too."""
    report = make_report(transcript_catalog, postgres)
    key = store_report(object_store, report)
    growth = report.numbers.growth
    # Plots with text of transcripts stay out of Dagster's storage: an erasure does not reach them.
    pictures = {
        plot.name: dg.MetadataValue.md(
            f"![{plot.title}](data:image/png;base64,{base64.b64encode(plot.png).decode()})"
        )
        for plot in report.plots
        if not plot.holds_text
    }
    return dg.MaterializeResult(
        metadata={
            "transcriptions": growth[-1]["transcriptions_so_far"] if growth else 0,
            "audio_h": round(growth[-1]["audio_h_so_far"], 2) if growth else 0.0,
            "failed_30_days": sum(row["failed"] for row in report.numbers.failures),
            "dagster/uri": object_store.uri(key),
            **pictures,
        }
    )
