"""Asset `transcript_parquet`: request -> partition -> audio -> transcript -> *parquet* -> query."""

import dagster as dg

from resources.lake.catalog import TranscriptCatalog
from resources.object_store.store import ObjectStore
from resources.orchestration.partitions import transcription_partitions
from resources.orchestration.transcription_claim import claimed_work
from resources.telemetry.spans import span
from resources.transcriptions.accuracy import store_accuracy, stored_accuracy
from resources.transcriptions.reads import transcript_timings
from resources.transcriptions.run_store import RunStore
from ytcaption.domain.errors import ResultNotReady
from ytcaption.domain.transcripts.transcript import Transcript
from ytcaption_assets.assets.caption_accuracy import measured


@dg.asset(
    partitions_def=transcription_partitions,
    deps=["transcription"],
    kinds={"python", "duckdb", "parquet"},
    owners=["team:analytics"],
    group_name="captions",
)
def transcript_parquet(
    context: dg.AssetExecutionContext,
    run_store: RunStore,
    object_store: ObjectStore,
    transcript_catalog: TranscriptCatalog,
) -> dg.MaterializeResult:
    """The transcript's rows in the lake: `transcripts`, `segments`, `words`, `media`, and its
    accuracy where people have captioned the media."""
    with claimed_work(context, run_store) as work:
        row = work.transcription
        if row.document_key is None or row.document_sha256 is None:
            raise ResultNotReady("There is no transcript yet. Materialize transcription first.")
        document = object_store.read_bytes(row.document_key, row.document_sha256)
        transcript = Transcript.from_json(document)
        postgres = run_store.postgres
        accuracy = stored_accuracy(postgres, work.id, row.document_sha256)
        others = []
        # A transcript of captions: other versions can be measured by it now. A transcript of
        # audio: there may be captions since it was made.
        for each in measured(postgres, object_store, transcript, row.document_sha256):
            if each.transcript.id != work.id:
                others.append(each)
            elif accuracy is None:
                accuracy = each.accuracy
                store_accuracy(postgres, work.id, accuracy, work.run_id)
        with span("lake"):
            rows = transcript_catalog.append(
                transcript,
                work.media.source,
                work.media.info,
                transcript_timings(postgres, work.id),
                accuracy,
            )
            for each in others:
                store_accuracy(postgres, each.transcript.id, each.accuracy)
                transcript_catalog.set_accuracy(each.transcript, each.accuracy)
        run_store.complete(work.id, work.run_id)
        return dg.MaterializeResult(
            metadata={f"{table}_rows": count for table, count in rows.items()}
            | {"dagster/row_count": rows["words"]}
        )
