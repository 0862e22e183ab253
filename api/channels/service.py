"""What callers may do with channels: their own, or everybody's for an admin."""

from collections.abc import Sequence
from typing import NamedTuple

from api.channels.schemas import ChannelRequest, ChannelSettings, ChannelUpdate
from resources.channels.dry_run import DryRun, dry_run
from resources.channels.listing.lister import ChannelLister
from resources.channels.plan import changed_plan, channel_plan
from resources.channels.rows import ChannelCounts, ChannelRow
from resources.channels.store import ChannelPosition, ChannelStore
from ytcaption.domain.caller import Caller
from ytcaption.domain.errors import Forbidden
from ytcaption.settings.settings import Settings


class ChannelDetail(NamedTuple):
    """A channel and the counts of its items."""

    row: ChannelRow
    counts: ChannelCounts


class ChannelService:
    """Applies a caller's rights. Every method raises

    ChannelNotFound: there is no such channel, or it belongs to another caller.
    InputError: the request cannot be carried out.
    Forbidden: the request needs an operator.
    """

    def __init__(self, settings: Settings, store: ChannelStore, lister: ChannelLister) -> None:
        self._settings = settings
        self._store = store
        self._lister = lister

    def create(self, caller: Caller, body: ChannelRequest) -> tuple[ChannelDetail, bool]:
        """Return the caller's channel of this source and whether it is new; an existing one is not
        changed."""
        _check_digest(caller, body)
        plan = channel_plan(body.plan(), self._settings)
        source = self._lister.source_of(body.url)
        row, created = self._store.create(source, plan, caller.owner, paused=body.paused)
        return self._with_counts([row])[0], created

    def dry_run(self, body: ChannelRequest, max_items: int) -> DryRun:
        """List the source and return what would be transcribed now.

        Raises:
            SourceError: the site does not deliver the list.
        """
        plan = channel_plan(body.plan(), self._settings)
        source = self._lister.source_of(body.url)
        return dry_run(
            self._store.postgres,
            self._settings,
            self._lister,
            source,
            plan,
            max_items=max_items,
        )

    def get(self, caller: Caller, id: str) -> ChannelDetail:
        """Return one channel."""
        return self._with_counts([self._store.get(id, caller.sees_only)])[0]

    def page(
        self, caller: Caller, after: ChannelPosition | None, limit: int
    ) -> list[ChannelDetail]:
        """Return a page of channels, the latest added first."""
        return self._with_counts(self._store.channels(caller.sees_only, after, limit))

    def change(self, caller: Caller, id: str, body: ChannelUpdate) -> ChannelDetail:
        """Change its settings, pause it or resume it."""
        _check_digest(caller, body)
        owner, changes = caller.sees_only, body.plan()
        row = self._store.get(id, owner)
        if changes:
            plan = changed_plan(row.plan, changes, self._settings)
            row = self._store.change(id, vars(plan), owner)
        if body.paused is not None:
            row = (self._store.pause if body.paused else self._store.resume)(id, owner)
        return self._with_counts([row])[0]

    def run_now(self, caller: Caller, id: str) -> ChannelDetail:
        """Request a poll at once."""
        return self._with_counts([self._store.run_now(id, caller.sees_only)])[0]

    def delete(self, caller: Caller, id: str, *, with_transcriptions: bool) -> None:
        """Unsubscribe, and erase its transcriptions if requested."""
        self._store.delete(id, caller.sees_only, with_transcriptions=with_transcriptions)

    def _with_counts(self, rows: Sequence[ChannelRow]) -> list[ChannelDetail]:
        counts = self._store.counts([row.id for row in rows]) if rows else {}
        return [ChannelDetail(row, counts[row.id]) for row in rows]


def _check_digest(caller: Caller, body: ChannelSettings) -> None:
    """Refuse digests from callers who are not operators: they are sent to the operators."""
    if body.digest != "never" and not caller.may("admin"):
        raise Forbidden("A digest goes to the operators: it needs a key with the scope admin.")
