"""The actions of callers on their transcriptions: cancel, retry, pin, erase, purge."""

import asyncio
import threading
from functools import partial

from api.long_work import SlotsByKey, WorkThreads
from api.transcriptions.partition_queue import PartitionQueue
from api.transcriptions.pauses import PauseControl
from resources.maintenance.erasure import RUN_STOPS_S, Erasure
from resources.maintenance.purge import Purged, PurgeFilter, purge
from resources.orchestration.orchestrator import Orchestrator
from resources.postgres.connection import Postgres
from resources.telemetry.trace_context import current_traceparent
from resources.transcriptions.actions import Effect, TranscriptionActions, set_pinned
from resources.transcriptions.listing import TranscriptionDetail, transcription_detail
from resources.transcriptions.quotas import limits_of
from ytcaption.domain.caller import Caller
from ytcaption.domain.errors import TranscriptionBusy
from ytcaption.settings.settings import Settings

PURGE_S = 20.0
"""A purge starts no erasure after this time, so that its HTTP request ends in reasonable time."""

_MAX_ENDING_RUNS = 8
"""Runs that are signalled to stop at once; the others notice the cancellation within seconds."""


class CallerActions:
    """Performs the actions and informs Dagster of each."""

    def __init__(
        self,
        settings: Settings,
        postgres: Postgres,
        partitions: PartitionQueue,
        pause_control: PauseControl,
        orchestrator: Orchestrator,
        erasure_threads: WorkThreads,
    ) -> None:
        self._settings = settings
        self._postgres = postgres
        self._partitions = partitions
        self._pause_control = pause_control
        self._orchestrator = orchestrator
        self._actions = TranscriptionActions(postgres)
        self._erasure = Erasure(settings, postgres, orchestrator)
        self._erasure_threads = erasure_threads
        self._erasures_by_id = SlotsByKey(1)
        self._ending_slots = threading.BoundedSemaphore(_MAX_ENDING_RUNS)

    def cancel(self, caller: Caller, id: str) -> tuple[TranscriptionDetail, Effect]:
        """Cancel it, or withdraw the caller's requests if others requested it, too.

        Returns:
            how it stands now, and what the call did.

        Raises:
            TranscriptionNotFound, TranscriptionErased, DatabaseUnavailable.
        """
        before = transcription_detail(self._postgres, id, caller)
        row, effect = self._actions.cancel(id, caller.sees_only)
        if effect == "canceled":
            self._end_runs(id, row.attempt, row.run_id)
        if effect == "withdrawn":  # the caller no longer sees it
            return before, effect
        return transcription_detail(self._postgres, id, caller), effect

    def retry(self, caller: Caller, id: str, *, force: bool) -> TranscriptionDetail:
        """Queue it again.

        Raises:
            as `TranscriptionActions.retry`; IntakePaused.
        """
        self._pause_control.check_intake()
        row = self._actions.retry(
            id,
            caller.sees_only,
            force=force,
            traceparent=current_traceparent(),
            requester=caller.owner,
            limits=limits_of(caller, self._settings),
        )
        self._partitions.add(row.id)
        return transcription_detail(self._postgres, id, caller)

    def set_pinned(self, caller: Caller, id: str, pinned: bool) -> TranscriptionDetail:
        """Exempt it from retention by age, or no longer; return how it stands now.

        Raises:
            TranscriptionNotFound, TranscriptionErased, DatabaseUnavailable.
        """
        set_pinned(self._postgres, id, caller.sees_only, pinned)
        return transcription_detail(self._postgres, id, caller)

    async def erase(self, caller: Caller, id: str, *, force: bool) -> None:
        """Erase it, or withdraw the caller's requests if others requested it, too. Of several
        erasures of one id one works at a time.

        Raises:
            TranscriptionBusy: another erasure of it does not end in time.
            and as `Erasure.erase`.
        """
        slot = self._erasures_by_id.of(id)
        try:
            async with asyncio.timeout(RUN_STOPS_S):
                await slot.acquire()
        except TimeoutError:
            raise TranscriptionBusy("It is being erased. Try again in a few seconds.") from None
        try:
            erase = partial(self._erasure.erase, id, caller.sees_only, force=force)
            await self._erasure_threads.run(caller, erase)
        finally:
            slot.release()

    async def purge(self, caller: Caller, filter: PurgeFilter, *, dry_run: bool) -> Purged:
        """Erase all that match, for at most `PURGE_S`, or list them.

        Raises:
            as `resources.maintenance.purge.purge`.
        """
        erase_all = partial(
            purge,
            self._postgres,
            self._erasure,
            filter,
            caller.owner,
            dry_run=dry_run,
            within_s=PURGE_S,
        )
        return await self._erasure_threads.run(caller, erase_all)

    def _end_runs(self, id: str, attempt: int, run_id: str | None) -> None:
        """Ask Dagster to end the runs on a thread: its storage may hang and no request may wait."""
        if not self._ending_slots.acquire(blocking=False):
            return

        def end() -> None:
            try:
                self._orchestrator.end_runs(id, attempt, run_id)
            finally:
                self._ending_slots.release()

        threading.Thread(target=end, name="end-runs", daemon=True).start()
