"""Asset `transcript_embeddings`: vectors of the transcript's passages, for semantic search."""

from collections.abc import Iterator

import dagster as dg

from resources.embeddings.backlog import embed_transcript
from resources.embeddings.store import EmbeddingStore
from resources.orchestration.partitions import transcription_partitions
from resources.postgres.connection import Postgres
from resources.telemetry.spans import span
from resources.worker.embedder import warm_embedder_of
from ytcaption.domain.errors import YtcaptionError
from ytcaption.settings.settings import load_settings


@dg.asset(
    partitions_def=transcription_partitions,
    # After the asset that completes the transcription, which must not wait for this one.
    deps=["transcription", "transcript_parquet"],
    pool="embedding",
    kinds={"python", "postgres", "pytorch"},
    owners=["team:analytics"],
    group_name="embeddings",
    output_required=False,
)
def transcript_embeddings(
    context: dg.AssetExecutionContext, postgres: Postgres
) -> Iterator[dg.MaterializeResult]:
    """Vectors of the transcript's passages in Postgres. An error here is logged and does not fail
    the transcription: `sensors/embedding_sensor.py` tries again later."""
    embedder = warm_embedder_of(load_settings())
    try:
        with span("embed"):
            result = embed_transcript(EmbeddingStore(postgres), embedder, context.partition_key)
    except YtcaptionError as error:
        context.log.warning("not embedded: %s", error.message)
        return
    except Exception:
        context.log.exception("not embedded")
        return
    if result.passage_count is None:
        context.log.info("not embedded: it is not completed, or its text has changed")
        return
    model = embedder.model
    yield dg.MaterializeResult(
        metadata={
            "passages": result.passage_count,
            "model": model.name,
            "model_revision": model.revision,
            "dimensions": model.dimensions,
        }
    )
