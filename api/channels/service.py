"""What callers do to their channels."""

from collections.abc import Sequence
from typing import NamedTuple

from api.channels.schemas import ChannelChange, ChannelCreate, ChannelWanted
from resources.channels.dry_run import DryRun, dry_run
from resources.channels.listing.lister import ChannelLister
from resources.channels.plan import changed_plan, channel_plan
from resources.channels.rows import ChannelCounts, ChannelRow
from resources.channels.store import ChannelPosition, ChannelStore
from ytcaption.domain.caller import Caller
from ytcaption.domain.errors import Forbidden
from ytcaption.settings import Settings


class ChannelDetail(NamedTuple):
    """A channel and the numbers of its items."""

    row: ChannelRow
    counts: ChannelCounts


class CallersChannels:
    """Each caller's own; an admin's are everybody's. Raises

    ChannelNotFound: there is no such channel, or it is another's.
    InputError: what is wanted cannot be done.
    Forbidden: only an operator may want it.
    """

    def __init__(self, settings: Settings, store: ChannelStore, lister: ChannelLister) -> None:
        self._settings = settings
        self._store = store
        self._lister = lister

    def create(self, caller: Caller, asked: ChannelCreate) -> tuple[ChannelDetail, bool]:
        """The caller's channel of this source, and whether it is new; one that was there stays as
        it is."""
        _check_digest(caller, asked)
        plan = channel_plan(asked.asked(), self._settings)
        source = self._lister.source_of(asked.url)
        row, created = self._store.create(source, plan, caller.owner, paused=asked.paused)
        return self._with_counts([row])[0], created

    def dry_run(self, asked: ChannelCreate, most_items: int) -> DryRun:
        """What it would take now.

        Raises:
            SourceError: its site does not give the list.
        """
        plan = channel_plan(asked.asked(), self._settings)
        source = self._lister.source_of(asked.url)
        return dry_run(
            self._store.postgres,
            self._settings,
            self._lister,
            source,
            plan,
            max_items=most_items,
        )

    def get(self, caller: Caller, id: str) -> ChannelDetail:
        """One."""
        return self._with_counts([self._store.get(id, caller.sees_only)])[0]

    def page(
        self, caller: Caller, after: ChannelPosition | None, limit: int
    ) -> list[ChannelDetail]:
        """Those added last first."""
        return self._with_counts(self._store.channels(caller.sees_only, after, limit))

    def change(self, caller: Caller, id: str, asked: ChannelChange) -> ChannelDetail:
        """Want something else of it, pause it, let it go on."""
        _check_digest(caller, asked)
        owner, changes = caller.sees_only, asked.asked()
        row = self._store.get(id, owner)
        if changes:
            plan = changed_plan(row.plan, changes, self._settings)
            row = self._store.change(id, vars(plan), owner)
        if asked.paused is not None:
            row = (self._store.pause if asked.paused else self._store.resume)(id, owner)
        return self._with_counts([row])[0]

    def run_now(self, caller: Caller, id: str) -> ChannelDetail:
        """Have it looked at at once."""
        return self._with_counts([self._store.run_now(id, caller.sees_only)])[0]

    def delete(self, caller: Caller, id: str, *, with_transcriptions: bool) -> None:
        """Leave it."""
        self._store.delete(id, caller.sees_only, with_transcriptions=with_transcriptions)

    def _with_counts(self, rows: Sequence[ChannelRow]) -> list[ChannelDetail]:
        counts = self._store.counts([row.id for row in rows]) if rows else {}
        return [ChannelDetail(row, counts[row.id]) for row in rows]


def _check_digest(caller: Caller, asked: ChannelWanted) -> None:
    """Nobody else sends messages to the operators."""
    if asked.digest != "never" and not caller.may("admin"):
        raise Forbidden("A digest goes to the operators: it needs a key with the scope admin.")
