"""Asset `transcript_parquet`: request -> partition -> audio -> transcript -> *parquet* -> query."""

import dagster as dg

from resources.lake.catalog import TranscriptCatalog
from resources.object_store.store import ObjectStore
from resources.orchestration.claim import claimed_work
from resources.orchestration.partitions import transcription_partitions
from resources.telemetry.spans import span
from resources.transcriptions.accuracy import store_accuracy, stored_accuracy
from resources.transcriptions.store import RequestStore
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
    request_store: RequestStore,
    object_store: ObjectStore,
    transcript_catalog: TranscriptCatalog,
) -> dg.MaterializeResult:
    """The transcript's rows in the lake: `transcripts`, `segments`, `words`, `media`, and how exact
    it is where people have captioned the media."""
    with claimed_work(context, request_store) as work:
        row = work.transcription
        if row.document_key is None or row.document_sha256 is None:
            raise ResultNotReady("There is no transcript yet. Materialize transcription first.")
        document = object_store.read_bytes(row.document_key, row.document_sha256)
        transcript = Transcript.from_json(document)
        postgres = request_store.postgres
        accuracy = stored_accuracy(postgres, work.id, row.document_sha256)
        others = []
        # Of captions: what other versions have heard can be measured now. Of what was heard: there
        # may be captions since.
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
                request_store.timings(work.id),
                accuracy,
            )
            for each in others:
                store_accuracy(postgres, each.transcript.id, each.accuracy)
                transcript_catalog.set_accuracy(each.transcript, each.accuracy)
        request_store.complete(work.id, work.run_id)
        return dg.MaterializeResult(
            metadata={f"{table}_rows": count for table, count in rows.items()}
            | {"dagster/row_count": rows["words"]}
        )
