"""Asset `lake_maintenance`: the lake in few files, and a look whether it is what Postgres has."""

from collections.abc import Sequence
from typing import Any

import dagster as dg

from resources.lake.catalog import TranscriptCatalog
from resources.lake.reconcile import Agreement
from ytcaption.domain.errors import BackupRunning

SHOWN = 5


@dg.asset(
    deps=["transcript_parquet"],
    kinds={"duckdb", "parquet"},
    owners=["team:analytics"],
    group_name="library",
    check_specs=[
        dg.AssetCheckSpec(
            "lake_counts_agree",
            asset="lake_maintenance",
            description="As many segments and words of each transcription as in Postgres.",
        ),
        dg.AssetCheckSpec(
            "lake_text_agrees",
            asset="lake_maintenance",
            description="Its segments have the same text and times as in Postgres.",
        ),
    ],
)
def lake_maintenance(
    context: dg.AssetExecutionContext, transcript_catalog: TranscriptCatalog
) -> dg.MaterializeResult:
    """Small files are merged, deleted rows rewritten, earlier snapshots and unknown files removed.

    Then Postgres and the lake are compared, transcription by transcription.
    """
    try:
        done = transcript_catalog.compact()
    except BackupRunning as error:
        raise dg.Failure(
            f"{error.message} The lake is maintained the next night.", allow_retries=False
        ) from error
    found = transcript_catalog.agreement()
    return dg.MaterializeResult(
        metadata={
            "files_before": done.files_before,
            "files_after": done.files_after,
            "bytes_before": done.bytes_before,
            "bytes_after": done.bytes_after,
            "snapshots_expired": done.snapshots_expired,
            "transcriptions": found.compared,
            "dagster/row_count": found.words,
        },
        check_results=agreement_checks(found),
    )


def agreement_checks(found: Agreement) -> Sequence[dg.AssetCheckResult]:
    """One result a spec."""
    counts = {
        "missing": found.missing,
        "left_over": found.extra,
        "other_counts": found.count_mismatches,
    }
    size = {"transcriptions": found.compared, "segments": found.segments, "words": found.words}
    return [
        _result("lake_counts_agree", counts, size),
        _result("lake_text_agrees", {"other_text": found.text_mismatches}, size),
    ]


def _result(
    name: str, wrong: dict[str, tuple[str, ...]], size: dict[str, int]
) -> dg.AssetCheckResult:
    listed = [f"- {kind}: {id}" for kind, ids in wrong.items() for id in ids[:SHOWN]]
    metadata: dict[str, Any] = {**size, **{kind: len(ids) for kind, ids in wrong.items()}}
    if listed:
        remedy = "Run `ytcaption lake verify --repair`."
        metadata["differences"] = dg.MetadataValue.md("\n".join([*listed, "", remedy]))
    return dg.AssetCheckResult(check_name=name, passed=not listed, metadata=metadata)
