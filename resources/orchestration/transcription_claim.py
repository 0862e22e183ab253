"""A run's claim on its transcription, and the work it does under it."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

import dagster as dg

from resources.orchestration.claim import Heartbeats, failure, keep_claim, record_failure
from resources.orchestration.run_end import RunEnd, end_of_own_run
from resources.orchestration.run_stop import (
    INTERRUPT_S,
    clean_up,
    end_process,
    interrupt,
    interruption,
)
from resources.orchestration.tags import ATTEMPT_TAG
from resources.orchestration.trace import asset_span
from resources.postgres.advisory_locks import work_lock
from resources.postgres.database_clock import DatabaseClock
from resources.shortages import shortage_of
from resources.transcribe.transcriber import OnSegment
from resources.transcriptions.drafts import DraftWriter, add_drafts
from resources.transcriptions.reads import get_media
from resources.transcriptions.rows import MediaRow, TranscriptionRow
from resources.transcriptions.run_store import RunStore
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
from ytcaption.settings.settings import load_settings

HEARTBEAT_S = 1.0
"""Interval of heartbeats. It is also the delay after which a run notices that it was canceled or
hit a time limit. A heartbeat at least every 15 s is required: docs/adr/security-rules.md#rule-35"""

PROGRESS_S = 0.5
"""Minimum interval of progress reports."""

INTERNAL_ERROR = "internal_error"

_between_assets: dict[tuple[str, str], threading.Event] = {}
"""By transcription and run: ends the heartbeats that go on between two assets. The run may wait
long for a slot of the next one, in a pool that is full or paused, and must not look dead."""


class Work:
    """One transcription that this run works on.

    Attributes:
        transcription: the row as it was claimed.
        media: its source, with what is known and stored of it.
    """

    def __init__(self, store: RunStore, run_id: str, stage: str, row: TranscriptionRow) -> None:
        self.transcription = row
        self.media: MediaRow = get_media(store.postgres, row.media_id)
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
        """Whether the claim is lost: another run has taken over, or it was canceled."""
        return self._lost.is_set()

    def stop(self) -> None:
        """Make `should_stop` true."""
        self._lost.set()

    def progress(self, done: float, total: float | None) -> None:
        """Report progress to watchers, at most every `PROGRESS_S`.

        Args:
            done: bytes while downloading, seconds of audio while transcribing.
            total: the total in the same unit, if known.

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
            return  # progress may be lost: the commit at the end decides

    @contextmanager
    def drafts(self) -> Iterator[OnSegment]:
        """Yield a function that takes each segment when it is transcribed, for watchers. Errors of
        the database do not fail the run."""

        def write(segments: Sequence[Segment]) -> None:
            add_drafts(self._store.postgres, self.id, self.run_id, segments)

        with DraftWriter(write, self.stop) as writer:
            yield writer.add


class _TranscriptionClaim:
    """The claim of one asset of a run on the partition's transcription (a `claim.Claim`)."""

    def __init__(self, context: dg.AssetExecutionContext, store: RunStore) -> None:
        self._context = context
        self._store = store
        self._key, self._run_id = context.partition_key, context.run_id
        self._limits = TimeLimits.from_settings(load_settings())
        self._clock = DatabaseClock()
        self.work = self._claim()

    def _claim(self) -> Work:
        """Claim the transcription.

        Raises:
            dg.Failure, DagsterExecutionInterruptedError: it cannot be claimed.
        """
        attempt = self._context.run.tags.get(ATTEMPT_TAG)
        row = None
        try:
            row = self._store.claim(self._key, self._run_id, int(attempt) if attempt else None)
            stage = self._context.asset_key.to_user_string()
            work = Work(self._store, self._run_id, stage, row)
            self._store.progress(self._key, self._run_id, stage, 0, None)
        except ClaimLost as error:
            end = end_of_own_run(self._store.postgres, self._key, self._run_id, row)
            raise self._end_of_run(end, error) from error
        except YtcaptionError as error:
            raise failure(error) from error
        return work

    def heartbeat(self) -> None:
        """See `Claim.heartbeat`."""
        self._store.heartbeat(self._key, self._run_id, self._limits, self._clock)

    def on_lost(self, ended: threading.Event) -> None:
        """Tell the work to stop. If the transcription was canceled or took too long and the run has
        not ended by then, interrupt it, and at last end its process."""
        self.work.stop()
        _between_assets.pop((self._key, self._run_id), None)
        end = self._end()
        if end is None or ended.wait(INTERRUPT_S):
            return
        instance, run = self._context.instance, self._context.run
        interrupt(instance, run, end)
        if not ended.wait(end.patience_s - INTERRUPT_S):
            end_process(instance, run, self._store.postgres, self.work.transcription, end)

    def lost(self, error: ClaimLost) -> BaseException:
        """See `Claim.lost`."""
        return self._end_of_run(self.cleaned_end(), error)

    def record(
        self, code: str, message: str, retryable: bool, retry_after_s: float | None = None
    ) -> str:
        """See `Claim.record`."""
        attempts = load_settings().runs.max_attempts
        return self._store.fail(
            self._key, self._run_id, code, message, retryable, attempts, retry_after_s
        ).value

    def on_success(self, heartbeats: Heartbeats) -> None:
        """Let the heartbeats go on until the run's next asset claims the transcription, or they are
        refused, or the process ends."""
        if self.work.should_stop():
            return  # `on_lost` is ending the run
        _between_assets[self._key, self._run_id] = heartbeats.ended
        with suppress(DatabaseUnavailable):  # then the wait for the next slot counts as work
            self._store.wait_for_slot(self._key, self._run_id)

    def cleaned_end(self) -> RunEnd | None:
        """Return why the run is over, with its partial files removed if it is."""
        end = self._end()
        if end is not None:
            clean_up(self._store.postgres, self.work.transcription)
        return end

    def _end(self) -> RunEnd | None:
        row = self.work.transcription
        return end_of_own_run(self._store.postgres, self._key, self._run_id, row)

    def _end_of_run(self, end: RunEnd | None, error: ClaimLost) -> BaseException:
        """Return the exception by which the run ends."""
        instance, run = self._context.instance, self._context.run
        if isinstance(error, SourcePaused):  # not a failure: it is queued again
            return interruption(instance, run, error.message)
        if end is RunEnd.WITHDRAWN:
            return interruption(instance, run, end.reason)
        return failure(TookTooLong(end.reason) if end is RunEnd.TOOK_TOO_LONG else error)


@contextmanager
def claimed_work(context: dg.AssetExecutionContext, store: RunStore) -> Iterator[Work]:
    """Claim the partition's transcription for this run and yield it. Heartbeats go on after the
    block, between two assets of the run.

    Raises:
        dg.Failure: the transcription cannot be claimed, or the block failed.
        DagsterExecutionInterruptedError: it was canceled; the run ends as canceled.
    """
    with asset_span(context):
        claim = _TranscriptionClaim(context, store)
        work = claim.work
        if earlier := _between_assets.pop((work.id, work.run_id), None):
            earlier.set()
        with (
            keep_claim(context, claim, HEARTBEAT_S),
            _other_errors(context, claim),
            work_lock(store.postgres, work.id, work.media.source.media_id),
        ):
            store.heartbeat(work.id, work.run_id)  # it may have been erased during the wait
            yield work


@contextmanager
def _other_errors(context: dg.AssetExecutionContext, claim: _TranscriptionClaim) -> Iterator[None]:
    """Handle what is not an error of ours: an interruption, and unexpected exceptions."""
    try:
        yield
    except dg.DagsterExecutionInterruptedError as error:
        if claim.cleaned_end() is RunEnd.TOOK_TOO_LONG:
            raise failure(TookTooLong(RunEnd.TOOK_TOO_LONG.reason)) from error
        raise
    except YtcaptionError:
        raise
    except Exception as error:
        if shortage := shortage_of(error):
            raise shortage from error
        message = "Something went wrong inside ytcaption. The run's log in the Dagster UI has it."
        record_failure(context, claim, INTERNAL_ERROR, message, True)
        raise
