"""What callers do to their transcriptions after asking."""

import threading

from api.transcriptions.partition_queue import PartitionQueue
from api.transcriptions.pauses import Operating
from resources.maintenance.erasure import Erasure
from resources.maintenance.purge import Purged, PurgeFilter, purge
from resources.orchestration.orchestrator import Orchestrator
from resources.postgres.connection import Postgres
from resources.telemetry.trace_context import current_traceparent
from resources.transcriptions.actions import Effect, TranscriptionActions, set_pinned
from resources.transcriptions.listing import TranscriptionDetail, transcription_detail
from resources.transcriptions.quotas import limits_of
from ytcaption.domain.caller import Caller
from ytcaption.settings import Settings

PURGE_S = 20.0
"""A purge begins no erasure after so long: nobody waits for an answer for minutes."""

_MOST_ENDING = 8
"""Runs that are told at once to end. Others hear of it themselves, some seconds later."""


class CallerActions:
    """Cancel, retry and erase, each with what Dagster must be told."""

    def __init__(
        self,
        settings: Settings,
        postgres: Postgres,
        partitions: PartitionQueue,
        operating: Operating,
        orchestrator: Orchestrator,
    ) -> None:
        self._settings = settings
        self._postgres = postgres
        self._partitions = partitions
        self._operating = operating
        self._orchestrator = orchestrator
        self._endings = TranscriptionActions(postgres)
        self._erasure = Erasure(settings, postgres, orchestrator)
        self._free = threading.BoundedSemaphore(_MOST_ENDING)

    def cancel(self, caller: Caller, id: str) -> tuple[TranscriptionDetail, Effect]:
        """Cancel it, or withdraw from what others asked for, too; how it stands now.

        Raises:
            TranscriptionNotFound, TranscriptionErased, DatabaseUnavailable.
        """
        before = transcription_detail(self._postgres, id, caller)
        row, effect = self._endings.cancel(id, caller.sees_only)
        if effect == "canceled":
            self._end_runs(id, row.attempt, row.run_id)
        if effect == "withdrawn":  # which the caller no longer sees
            return before, effect
        return transcription_detail(self._postgres, id, caller), effect

    def retry(self, caller: Caller, id: str, *, force: bool) -> TranscriptionDetail:
        """Queue it anew.

        Raises:
            as `TranscriptionActions.retry`; IntakePaused.
        """
        self._operating.check_intake()
        row = self._endings.retry(
            id,
            caller.sees_only,
            force=force,
            traceparent=current_traceparent(),
            requester=caller.owner,
            limits=limits_of(caller, self._settings),
        )
        self._partitions.add(row.id)
        return transcription_detail(self._postgres, id, caller)

    def set_keep(self, caller: Caller, id: str, keep: bool) -> TranscriptionDetail:
        """Keep it whatever its age, or no longer; how it stands now.

        Raises:
            TranscriptionNotFound, TranscriptionErased, DatabaseUnavailable.
        """
        set_pinned(self._postgres, id, caller.sees_only, keep)
        return transcription_detail(self._postgres, id, caller)

    def erase(self, caller: Caller, id: str, *, force: bool) -> None:
        """Erase it, or withdraw from what others asked for, too.

        Raises:
            as `Erasure.erase`.
        """
        self._erasure.erase(id, caller.sees_only, force=force)

    def purge(self, caller: Caller, chosen: PurgeFilter, *, dry_run: bool) -> Purged:
        """Erase many, or tell which they are; some seconds at a time.

        Raises:
            as `resources.maintenance.purge.purge`.
        """
        postgres = self._postgres
        return purge(
            postgres,
            self._erasure,
            chosen,
            caller.owner,
            dry_run=dry_run,
            within_s=PURGE_S,
        )

    def _end_runs(self, id: str, attempt: int, run_id: str | None) -> None:
        """Beside the request: Dagster never runs inside one, and its storage may hang."""
        if not self._free.acquire(blocking=False):
            return

        def end() -> None:
            try:
                self._orchestrator.end_runs(id, attempt, run_id)
            finally:
                self._free.release()

        threading.Thread(target=end, name="end-runs", daemon=True).start()
