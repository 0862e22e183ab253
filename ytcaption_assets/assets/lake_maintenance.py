"""Asset `lake_maintenance`: merges the lake's files, and compares the lake with Postgres."""

from collections.abc import Sequence
from typing import Any

import dagster as dg

from resources.lake.catalog import TranscriptCatalog
from resources.lake.reconcile import Agreement
from ytcaption.domain.errors import BackupRunning

SHOWN = 5
"""Transcriptions named per kind of difference."""

_OLD_NAMES = {
    "left_over": "extra",
    "other_counts": "count_mismatches",
    "other_text": "text_mismatches",
}
"""Metadata by their names before 0.2, which are still written."""


@dg.asset(
    deps=["transcript_parquet"],
    kinds={"duckdb", "parquet"},
    owners=["team:analytics"],
    group_name="library",
    check_specs=[
        dg.AssetCheckSpec(
            "lake_counts_agree",
            asset="lake_maintenance",
            description="Each transcription has as many segments and words as in Postgres.",
        ),
        dg.AssetCheckSpec(
            "lake_text_agrees",
            asset="lake_maintenance",
            description="All segments have the same text and times as in Postgres.",
        ),
    ],
)
def lake_maintenance(
    context: dg.AssetExecutionContext, transcript_catalog: TranscriptCatalog
) -> dg.MaterializeResult:
    """The lake with small files merged, files with deleted rows rewritten, old snapshots and
    unknown files removed; then compared with Postgres, transcription by transcription."""
    try:
        result = transcript_catalog.compact()
    except BackupRunning as error:
        raise dg.Failure(
            f"{error.message} The lake is maintained next night.", allow_retries=False
        ) from error
    agreement = transcript_catalog.agreement()
    return dg.MaterializeResult(
        metadata={
            "files_before": result.files_before,
            "files_after": result.files_after,
            "bytes_before": result.bytes_before,
            "bytes_after": result.bytes_after,
            "snapshots_expired": result.snapshots_expired,
            "transcriptions": agreement.compared,
            "dagster/row_count": agreement.words,
        },
        check_results=agreement_checks(agreement),
    )


def agreement_checks(agreement: Agreement) -> Sequence[dg.AssetCheckResult]:
    """Return one result per check spec."""
    counts = {
        "missing": agreement.missing,
        "extra": agreement.extra,
        "count_mismatches": agreement.count_mismatches,
    }
    size = {
        "transcriptions": agreement.compared,
        "segments": agreement.segments,
        "words": agreement.words,
    }
    return [
        _result("lake_counts_agree", counts, size),
        _result("lake_text_agrees", {"text_mismatches": agreement.text_mismatches}, size),
    ]


def _result(
    name: str, wrong: dict[str, tuple[str, ...]], size: dict[str, int]
) -> dg.AssetCheckResult:
    listed = [f"- {kind}: {id}" for kind, ids in wrong.items() for id in ids[:SHOWN]]
    numbers = {kind: len(ids) for kind, ids in wrong.items()}
    metadata: dict[str, Any] = size | numbers
    metadata |= {old: numbers[new] for old, new in _OLD_NAMES.items() if new in numbers}
    if listed:
        remedy = "Run `ytcaption lake verify --repair`."
        metadata["differences"] = dg.MetadataValue.md("\n".join([*listed, "", remedy]))
    return dg.AssetCheckResult(check_name=name, passed=not listed, metadata=metadata)
