"""Asset `transcript_embeddings`: what the transcript's passages mean, for semantic search."""

from collections.abc import Iterator

import dagster as dg

from resources.embeddings.backlog import embed_transcript
from resources.embeddings.store import EmbeddingStore
from resources.orchestration.partitions import transcription_partitions
from resources.telemetry.spans import span
from resources.transcriptions.store import RequestStore
from resources.worker.embedder import warm_embedder_of
from ytcaption.domain.errors import YtcaptionError
from ytcaption.settings import load_settings


@dg.asset(
    partitions_def=transcription_partitions,
    # After the one that completes the transcription, which is not to wait for this.
    deps=["transcription", "transcript_parquet"],
    pool="embedding",
    kinds={"python", "postgres", "pytorch"},
    owners=["team:analytics"],
    group_name="embeddings",
    output_required=False,
)
def transcript_embeddings(
    context: dg.AssetExecutionContext, request_store: RequestStore
) -> Iterator[dg.MaterializeResult]:
    """Vectors of the transcript's passages in Postgres. What fails here is told in the run's log,
    fails no transcription, and is done later (`sensors/embedding_sensor.py`)."""
    embedder = warm_embedder_of(load_settings())
    try:
        with span("embed"):
            made = embed_transcript(
                EmbeddingStore(request_store.postgres), embedder, context.partition_key
            )
    except YtcaptionError as error:
        context.log.warning("not embedded: %s", error.message)
        return
    except Exception:
        context.log.exception("not embedded")
        return
    if made.passage_count is None:
        context.log.info("not embedded: it is not completed, or has another text by now")
        return
    model = embedder.model
    yield dg.MaterializeResult(
        metadata={
            "passages": made.passage_count,
            "model": model.name,
            "model_revision": model.revision,
            "dimensions": model.dimensions,
        }
    )
