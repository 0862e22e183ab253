"""Sensor and job: embed transcripts that semantic search does not know yet, many in one run.

The last asset of a run embeds the run's own transcript. This job embeds what is left: what failed
there, transcripts of `ytcaption transcribe`, and everything after a change of the model.
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
from ytcaption.settings.settings import load_settings

POOL = "embedding"
PRIORITY = "-10000"
"""In Dagster's queue: after every transcription."""

SETTLED_S = 300.0
"""Seconds after its completion in which a transcription's own run may still embed it."""

MAX_TRANSCRIPTS = 2_000
MAX_RUN_S = 300.0
"""Maximum duration of a run."""

BUSY_RUN_S = 20.0
"""Maximum duration of a run while transcriptions are queued or running."""

BUSY_INTERVAL_S = 600.0
"""Interval of runs while transcriptions are queued or running, which may be always."""

FIRST_COOL_DOWN_S, MAX_COOL_DOWN_S = 3_600.0, 86_400.0
"""Pause after a failed run, and after many failures in a row."""

SHOWN = 5
"""Failures listed in the run's metadata."""


@dg.op(pool=POOL, description="Embeds transcripts one after the other, and yields to other runs.")
def embed_transcripts(context: dg.OpExecutionContext, postgres: Postgres) -> None:
    """Embed waiting transcripts; the metadata count them and name failures.

    Raises:
        dg.Failure: the model or the database is unavailable.
    """
    embedder = warm_embedder_of(load_settings())
    store = EmbeddingStore(postgres)
    done: Counter[str] = Counter()
    problems: list[str] = []
    began = time.monotonic()
    try:
        for result in islice(embed_waiting(store, embedder, settled_s=SETTLED_S), MAX_TRANSCRIPTS):
            done["transcripts"] += result.passage_count is not None
            done["passages"] += result.passage_count or 0
            if result.problem is not None:
                problems.append(f"{result.transcription_id}: {result.problem}")
                context.log.warning("not embedded: %s", problems[-1])
            if _should_yield(context.instance, postgres, time.monotonic() - began):
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
    description="Embeds transcripts for semantic search, many in one run.",
)
def embed_job() -> None:
    """Run the only op."""
    embed_transcripts()


@dg.sensor(
    target=embed_job,
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Starts a run that embeds transcripts for semantic search, after transcriptions.",
)
def embedding_sensor(
    context: dg.SensorEvaluationContext, postgres: Postgres
) -> dg.RunRequest | dg.SkipReason:
    """Start at most one run at a time, with pauses after failures; the skip reason says what it
    waits for."""
    name = load_settings().search.embedding_model
    counts = EmbeddingStore(postgres).counts(name, SETTLED_S)
    if counts is None:
        return dg.SkipReason(NO_PGVECTOR)
    if not counts.waiting:
        failed = f" {counts.failed:,} could not be." if counts.failed else ""
        return dg.SkipReason(f"Nothing waits to be embedded.{failed}")
    pause_s = _pause_s(context.instance, is_busy=_is_busy(postgres))
    if pause_s is None:
        return dg.SkipReason(f"{counts.waiting:,} wait: a run embeds.")
    if pause_s > 0:
        return dg.SkipReason(f"{counts.waiting:,} wait, for {pause_s:,.0f} s more.")
    return dg.RunRequest(tags={"dagster/priority": PRIORITY})


def _should_yield(instance: dg.DagsterInstance, postgres: Postgres, spent_s: float) -> bool:
    """Whether the run should end: others wait for its slot, or its time is up."""
    if instance.event_log_storage.get_concurrency_info(POOL).pending_step_count:
        return True
    return spent_s > MAX_RUN_S or (spent_s > BUSY_RUN_S and _is_busy(postgres))


def _is_busy(postgres: Postgres) -> bool:
    """Whether transcriptions are queued or running."""
    [row] = postgres.rows(
        "select exists (select from ytcaption.transcription "
        "where status in ('queued', 'running')) as is_busy",
        {},
    )
    return row["is_busy"]


def _pause_s(instance: dg.DagsterInstance, *, is_busy: bool) -> float | None:
    """Return the seconds until the next run may start; None while one exists."""
    runs = instance.get_run_records(dg.RunsFilter(job_name=EMBED_JOB), limit=8)
    if not runs:
        return 0.0
    if not runs[0].dagster_run.is_finished:
        return None
    pause_s = BUSY_INTERVAL_S if is_busy else 0.0
    if failures := _failures(runs):
        pause_s = min(FIRST_COOL_DOWN_S * 2 ** (failures - 1), MAX_COOL_DOWN_S)
    ended_at = runs[0].end_time or runs[0].update_timestamp.timestamp()
    # An end in the future was noted before the clock was set back, and is old.
    return pause_s - abs(time.time() - ended_at)


def _failures(runs: Sequence[dg.RunRecord]) -> int:
    """Return the number of failed or canceled runs since the last success."""
    succeeded = [run.dagster_run.status is dg.DagsterRunStatus.SUCCESS for run in runs]
    return succeeded.index(True) if True in succeeded else len(succeeded)


def _metadata(done: Counter[str], problems: Sequence[str]) -> dict[str, dg.MetadataValue]:
    metadata: dict[str, dg.MetadataValue] = {
        "transcripts": dg.MetadataValue.int(done["transcripts"]),
        "passages": dg.MetadataValue.int(done["passages"]),
        "failed": dg.MetadataValue.int(len(problems)),
    }
    if problems:
        listed = "\n".join(f"- {problem}" for problem in problems[:SHOWN])
        metadata["failures"] = dg.MetadataValue.md(
            f"{listed}\n\n`ytcaption embed` tries them again."
        )
    return metadata


def _model(embedder: Embedder) -> dict[str, dg.MetadataValue]:
    model = embedder.model
    return {
        "model": dg.MetadataValue.text(model.name),
        "model_revision": dg.MetadataValue.text(model.revision),
        "dimensions": dg.MetadataValue.int(model.dimensions),
    }
