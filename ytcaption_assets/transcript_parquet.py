"""Asset `transcript_parquet`: request -> partition -> audio -> transcript -> *parquet* -> query."""

import dagster as dg

from resources.object_store import ObjectStore
from resources.request_store import RequestStore
from resources.telemetry import span
from resources.transcript_catalog import TranscriptCatalog
from ytcaption_assets.domain.errors import ResultNotReady
from ytcaption_assets.domain.transcript import Transcript
from ytcaption_assets.partitions import transcription_partitions
from ytcaption_assets.run_claim import claimed_work


@dg.asset(
    partitions_def=transcription_partitions,
    deps=["transcription"],
    kinds={"python", "duckdb", "parquet"},
    owners=["team:analytics"],
    group_name="captions",
)
def transcript_parquet(
    context: dg.AssetExecutionContext,
    request_store: RequestStore,
    object_store: ObjectStore,
    transcript_catalog: TranscriptCatalog,
) -> dg.MaterializeResult:
    """The transcript's rows in the lake: `transcripts`, `segments`, `words`, `media`."""
    with claimed_work(context, request_store) as work:
        row = work.transcription
        if row.document_key is None:
            raise ResultNotReady("There is no transcript yet. Materialize transcription first.")
        document = object_store.read_bytes(row.document_key, row.document_sha256)
        with span("lake"):
            rows = transcript_catalog.append(
                Transcript.from_json(document),
                work.media.source,
                work.media.info,
                request_store.timings(work.id),
            )
        request_store.complete(work.id, work.run_id)
        return dg.MaterializeResult(
            metadata={f"{table}_rows": count for table, count in rows.items()}
            | {"dagster/row_count": rows["words"]}
        )
