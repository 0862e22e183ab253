"""A run's claim on its transcription: taken first, kept by heartbeats, checked by every commit."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial

import dagster as dg

from resources.orchestration.run_end import (
    INTERRUPT_S,
    RunEnd,
    clean_up,
    end_process,
    interrupt,
    interruption,
    run_end,
)
from resources.orchestration.trace import ATTEMPT_TAG, asset_span
from resources.postgres.advisory_locks import at_work
from resources.transcribe.transcriber import OnSegment
from resources.transcriptions.drafts import DraftWriter, add_drafts
from resources.transcriptions.rows import MediaRow, TranscriptionRow
from resources.transcriptions.store import RequestStore
from resources.transcriptions.time_limits import TimeLimits
from ytcaption.domain.errors import (
    ClaimLost,
    DatabaseUnavailable,
    SourcePaused,
    TookTooLong,
    YtcaptionError,
)
from ytcaption.domain.progress_milestones import Milestones
from ytcaption.domain.transcripts.transcript import Segment
from ytcaption.settings import load_settings

HEARTBEAT_S = 1.0
"""Rule 35 asks for one in 15 s; this is also how soon a run hears that it was canceled, also where
nobody interrupts it, and that its time is over."""

PROGRESS_S = 0.5

INTERNAL_ERROR = "internal_error"

_between: dict[tuple[str, str], threading.Event] = {}
"""By transcription and run: ends the heartbeats that go on after an asset. The run may wait long
for the next one's slot, in a pool that is full or paused, and is not to be taken for dead."""


class Work:
    """One transcription in the hands of this run.

    Attributes:
        transcription: the row as it was claimed.
        media: its source, with what is known and stored of it.
    """

    def __init__(self, store: RequestStore, run_id: str, stage: str, row: TranscriptionRow) -> None:
        self.transcription = row
        self.media: MediaRow = store.media(row.media_id)
        self.run_id = run_id
        self._store = store
        self._stage = stage
        self._lost = threading.Event()
        self._reported_at = 0.0
        self._milestones = Milestones(time.monotonic())

    @property
    def id(self) -> str:
        """The partition key."""
        return self.transcription.id

    def should_stop(self) -> bool:
        """True once another run has taken over or the transcription was canceled."""
        return self._lost.is_set()

    def end(self) -> RunEnd | None:
        """Why this run is over, once it has lost its transcription."""
        return run_end(self._store, self.id, self.run_id, self.transcription)

    def progress(self, done: float, total: float | None) -> None:
        """Tells everyone who watches, at most twice a second.

        Args:
            done: bytes while downloading, seconds of audio while transcribing.
            total: the same of all, where it is known.

        Raises:
            ClaimLost: this run must stop.
        """
        if self.should_stop():
            raise ClaimLost("Another run has taken over this transcription, or it was canceled.")
        now = time.monotonic()
        if now - self._reported_at < PROGRESS_S and done != total:
            return
        self._reported_at = now
        is_milestone = self._milestones.is_new(done, total, now)
        try:
            self._store.progress(
                self.id, self.run_id, self._stage, done, total, is_milestone=is_milestone
            )
        except DatabaseUnavailable:
            return  # progress is a courtesy: the commit at the end decides

    @contextmanager
    def drafts(self) -> Iterator[OnSegment]:
        """Where segments go while they are heard, for those who watch. Never fails the run."""

        def write(segments: Sequence[Segment]) -> None:
            add_drafts(self._store.postgres, self.id, self.run_id, segments)

        with DraftWriter(write, self._lost.set) as writer:
            yield writer.add

    def beat(
        self,
        ended: threading.Event,
        on_slow: Callable[[RunEnd], None],
        on_stuck: Callable[[RunEnd], None],
    ) -> None:
        """Heartbeats until `ended`, or until the claim is lost.

        Args:
            on_slow, on_stuck: called one after the other where the transcription was canceled or
                took too long, and this run has not ended.
        """
        limits = TimeLimits.from_settings(load_settings())
        while not ended.wait(HEARTBEAT_S):
            try:
                self._store.heartbeat(self.id, self.run_id, limits)
            except ClaimLost:
                self._lost.set()
                _between.pop((self.id, self.run_id), None)
                end = self.end()
                if end is None or ended.wait(INTERRUPT_S):
                    return
                on_slow(end)
                if not ended.wait(end.patience_s - INTERRUPT_S):
                    on_stuck(end)
                return
            except DatabaseUnavailable:
                continue  # back before the claim runs out, or the next beat finds it lost


@contextmanager
def claimed_work(context: dg.AssetExecutionContext, store: RequestStore) -> Iterator[Work]:
    """The partition's transcription, claimed by this run from now on; heartbeats go on after the
    block, until the run is told that nothing is left of its claim or its process ends.

    An error in the block is recorded with its code, counts as an attempt and becomes a Failure
    that Dagster does not retry: attempts are counted in the store alone (rule 33).

    Raises:
        dg.Failure: the transcription cannot be claimed, or the block failed.
        DagsterExecutionInterruptedError: it was canceled; the run ends as canceled.
    """
    with asset_span(context), _claimed(context, store) as work:
        yield work


@contextmanager
def _claimed(context: dg.AssetExecutionContext, store: RequestStore) -> Iterator[Work]:
    key, run_id = context.partition_key, context.run_id
    attempt = context.run.tags.get(ATTEMPT_TAG)
    row = None
    try:
        row = store.claim(key, run_id, int(attempt) if attempt else None)
        stage = context.asset_key.to_user_string()
        work = Work(store, run_id, stage, row)
        store.progress(key, run_id, stage, 0, None)
    except ClaimLost as error:
        raise _lost(context, run_end(store, key, run_id, row), error) from error
    except YtcaptionError as error:
        raise _failure(error) from error
    on_slow = partial(interrupt, context.instance, context.run)
    on_stuck = partial(end_process, context.instance, context.run, store, row)
    if earlier := _between.pop((key, run_id), None):
        earlier.set()
    ended = threading.Event()
    beats = threading.Thread(
        target=work.beat, args=(ended, on_slow, on_stuck), name="heartbeat", daemon=True
    )
    beats.start()
    failed = True
    try:
        with at_work(store.postgres, key, row.media_id):
            store.heartbeat(key, run_id)  # it may have been erased while this waited for the lock
            yield work
        failed = False
    except ClaimLost as error:
        raise _lost(context, _over(store, work), error) from error
    except dg.DagsterExecutionInterruptedError as error:
        if _over(store, work) is RunEnd.TOOK_TOO_LONG:
            raise _failure(TookTooLong(RunEnd.TOOK_TOO_LONG.reason)) from error
        raise
    except YtcaptionError as error:
        _record(context, store, error.code, error.message, error.retryable, error.retry_after_s)
        raise _failure(error) from error
    except Exception:
        message = "Something went wrong inside ytcaption. The run's log in the Dagster UI has it."
        _record(context, store, INTERNAL_ERROR, message, True)
        raise
    finally:
        if failed:
            ended.set()
            beats.join()
        elif not work.should_stop():
            _between[key, run_id] = ended
            with suppress(DatabaseUnavailable):  # then the wait for the next slot counts, too
                store.wait_for_slot(key, run_id)


def _over(store: RequestStore, work: Work) -> RunEnd | None:
    """Why the run is over, where it is for good: then nothing half done is left of it."""
    end = work.end()
    if end is not None:
        clean_up(store, work.transcription)
    return end


def _lost(context: dg.AssetExecutionContext, end: RunEnd | None, error: ClaimLost) -> BaseException:
    if isinstance(error, SourcePaused):  # nothing failed: it waits in the queue again
        return interruption(context.instance, context.run, error.message)
    if end is RunEnd.WITHDRAWN:
        return interruption(context.instance, context.run, end.reason)
    return _failure(TookTooLong(end.reason) if end is RunEnd.TOOK_TOO_LONG else error)


def _failure(error: YtcaptionError) -> dg.Failure:
    return dg.Failure(error.message, metadata={"code": error.code}, allow_retries=False)


def _record(
    context: dg.AssetExecutionContext,
    store: RequestStore,
    code: str,
    message: str,
    retryable: bool,
    retry_after_s: float | None = None,
) -> None:
    try:
        status = store.fail(
            context.partition_key,
            context.run_id,
            code,
            message,
            retryable,
            load_settings().max_attempts,
            retry_after_s,
        )
    except ClaimLost:
        return
    except DatabaseUnavailable as error:
        # Run status sensors and the sweep of silent runs settle it when the database is back.
        context.log.warning("not recorded: %s", error)
        return
    context.log.info("recorded %s, now %s", code, status.value)
