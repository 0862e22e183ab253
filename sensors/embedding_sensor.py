"""Transcripts that search by meaning does not know -> a run that embeds many of them.

A run's own last step embeds what it has transcribed. What is left waits for this: what failed
there, what `ytcaption transcribe` has made, and everything after another model was set.
"""

import time
from collections import Counter
from collections.abc import Sequence
from itertools import islice

import dagster as dg

from resources.embeddings.backlog import embed_waiting
from resources.embeddings.embedder import Embedder
from resources.embeddings.store import NO_PGVECTOR, EmbeddingStore
from resources.orchestration.console import CONSOLE_CONFIG
from resources.orchestration.executor import run_executor
from resources.orchestration.tags import JOB_TAG
from resources.postgres.connection import Postgres
from resources.worker.embedder import warm_embedder_of
from sensors.jobs import EMBED_JOB
from ytcaption.domain.errors import YtcaptionError
from ytcaption.settings import load_settings

POOL = "embedding"
PRIORITY = "-10000"
"""In Dagster's queue: behind every transcription."""

SETTLED_S = 300.0
"""What was completed since then may be about to be embedded by its own run."""

MOST_TRANSCRIPTS = 2_000
LONGEST_S = 300.0
"""Of a run."""

TURN_S = 20.0
"""The same while transcriptions are queued or running."""

TURN_EVERY_S = 600.0
"""They are never all done where somebody always asks for more: so often it has a turn meanwhile."""

FIRST_REST_S, MAX_COOL_DOWN_S = 3_600.0, 86_400.0
"""After a run that failed, and after many in a row."""

SHOWN = 5


@dg.op(pool=POOL, description="Embeds transcripts, one after the other, and gives way to runs.")
def embed_transcripts(context: dg.OpExecutionContext, postgres: Postgres) -> None:
    """Its metadata count what was embedded, and name what cannot be.

    Raises:
        dg.Failure: the model or the database cannot be had.
    """
    embedder = warm_embedder_of(load_settings())
    store = EmbeddingStore(postgres)
    done: Counter[str] = Counter()
    problems: list[str] = []
    began = time.monotonic()
    try:
        for made in islice(embed_waiting(store, embedder, settled_s=SETTLED_S), MOST_TRANSCRIPTS):
            done["transcripts"] += made.passage_count is not None
            done["passages"] += made.passage_count or 0
            if made.problem is not None:
                problems.append(f"{made.transcription_id}: {made.problem}")
                context.log.warning("not embedded: %s", problems[-1])
            if _gives_way(context.instance, postgres, time.monotonic() - began):
                break
    except YtcaptionError as error:
        raise dg.Failure(
            error.message, metadata=_metadata(done, problems), allow_retries=False
        ) from error
    context.add_output_metadata(_metadata(done, problems) | _model(embedder))


@dg.job(
    name=EMBED_JOB,
    executor_def=run_executor,
    config=CONSOLE_CONFIG,
    tags={JOB_TAG: EMBED_JOB},
    description="Transcripts that wait for search by meaning, many in one run.",
)
def embed_job() -> None:
    """One op."""
    embed_transcripts()


@dg.sensor(
    target=embed_job,
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Makes a run that embeds what waits for search by meaning, after transcriptions.",
)
def embedding_sensor(
    context: dg.SensorEvaluationContext, postgres: Postgres
) -> dg.RunRequest | dg.SkipReason:
    """One run at a time, and none in a row of failures: its skip reason says what it waits for."""
    name = load_settings().embedding_model
    counts = EmbeddingStore(postgres).counts(name, SETTLED_S)
    if counts is None:
        return dg.SkipReason(NO_PGVECTOR)
    if not counts.waiting:
        failed = f" {counts.failed:,} could not be." if counts.failed else ""
        return dg.SkipReason(f"Nothing waits to be embedded.{failed}")
    rest_s = _rest_s(context.instance, is_busy=_is_busy(postgres))
    if rest_s is None:
        return dg.SkipReason(f"{counts.waiting:,} wait: a run embeds.")
    if rest_s > 0:
        return dg.SkipReason(f"{counts.waiting:,} wait, for {rest_s:,.0f} s more.")
    return dg.RunRequest(tags={"dagster/priority": PRIORITY})


def _gives_way(instance: dg.DagsterInstance, postgres: Postgres, spent_s: float) -> bool:
    """Whether the run is to end: others wait for its slot, or it has had its time."""
    if instance.event_log_storage.get_concurrency_info(POOL).pending_step_count:
        return True
    return spent_s > LONGEST_S or (spent_s > TURN_S and _is_busy(postgres))


def _is_busy(postgres: Postgres) -> bool:
    """Whether transcriptions are queued or running."""
    [row] = postgres.rows(
        "select exists (select from ytcaption.transcription "
        "where status in ('queued', 'running')) as is_busy",
        {},
    )
    return row["is_busy"]


def _rest_s(instance: dg.DagsterInstance, *, is_busy: bool) -> float | None:
    """Seconds until the next run; None while one is there."""
    runs = instance.get_run_records(dg.RunsFilter(job_name=EMBED_JOB), limit=8)
    if not runs:
        return 0.0
    if not runs[0].dagster_run.is_finished:
        return None
    rest_s = TURN_EVERY_S if is_busy else 0.0
    if failures := _failures(runs):
        rest_s = min(FIRST_REST_S * 2 ** (failures - 1), MAX_COOL_DOWN_S)
    ended_at = runs[0].end_time or runs[0].update_timestamp.timestamp()
    return ended_at + rest_s - time.time()


def _failures(runs: Sequence[dg.RunRecord]) -> int:
    """In a row, the latest first; those that were canceled are among them."""
    succeeded = [run.dagster_run.status is dg.DagsterRunStatus.SUCCESS for run in runs]
    return succeeded.index(True) if True in succeeded else len(succeeded)


def _metadata(done: Counter[str], problems: Sequence[str]) -> dict[str, dg.MetadataValue]:
    found: dict[str, dg.MetadataValue] = {
        "transcripts": dg.MetadataValue.int(done["transcripts"]),
        "passages": dg.MetadataValue.int(done["passages"]),
        "failed": dg.MetadataValue.int(len(problems)),
    }
    if problems:
        listed = "\n".join(f"- {problem}" for problem in problems[:SHOWN])
        found["failures"] = dg.MetadataValue.md(f"{listed}\n\n`ytcaption embed` tries them again.")
    return found


def _model(embedder: Embedder) -> dict[str, dg.MetadataValue]:
    model = embedder.model
    return {
        "model": dg.MetadataValue.text(model.name),
        "model_revision": dg.MetadataValue.text(model.revision),
        "dimensions": dg.MetadataValue.int(model.dimensions),
    }
