"""`ytcaption channels import|export`: lists of channels that other programs write and read."""

import json
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ytcaption_assets.cli.channels.options import ChannelOptions, takes_options
from ytcaption_assets.cli.database import opened_database
from ytcaption_assets.cli.terminal_text import printable

if TYPE_CHECKING:
    from rich.console import Console

    from resources.channels.listing.lister import ChannelLister
    from resources.channels.rows import ChannelCounts, ChannelRow
    from resources.channels.store import ChannelStore
    from ytcaption.domain.channels.subscription_export import Subscription
    from ytcaption.domain.channels.subscription_lists import ListedChannel
    from ytcaption.settings.settings import Settings

_PINCHFLAT_FEED = re.compile(r"/sources/[0-9a-f-]{36}/feed(\.xml)?$")
_MARKS = {"added": "[green]added[/green]", "known": "known", "refused": "[red]refused[/red]"}


@dataclass(frozen=True)
class ImportedLine:
    """Result of importing one line.

    Attributes:
        reason: why it was refused.
    """

    line: int
    url: str
    title: str | None
    outcome: Literal["added", "known", "refused"]
    id: str | None = None
    reason: str | None = None


@takes_options
def import_channels(
    file: Annotated[Path, typer.Argument(help="OPML, CSV, JSON, or one URL per line.")],
    options: ChannelOptions,
    paused: Annotated[
        bool, typer.Option("--paused", help="Do not poll them until they are resumed.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show what would be added.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
) -> None:
    """Subscribe to all channels of a list and report the result of each line.

    Options apply to all channels; they override the settings in a file written by `channels
    export`. Exit status: 0 all are subscribed, 1 some were refused, each with its reason.
    """
    from rich.console import Console

    from resources.channels.listing.lister import ChannelLister
    from resources.channels.plan import channel_plan
    from resources.channels.store import ChannelStore
    from ytcaption.domain.channels.subscription_lists import read_channels

    channels = read_channels(_read(file))
    console = Console(highlight=False)
    with opened_database() as (settings, postgres):
        channel_plan(options, settings)  # a wrong option is reported once, not for each line
        importer = _Importer(
            settings,
            ChannelStore(postgres=postgres),
            ChannelLister.from_settings(settings),
            paused=paused,
            dry_run=dry_run,
        )
        results = []
        for result in importer.import_all(channels, options):
            results.append(result)
            if not as_json:
                _print_line(result, console)
    if as_json:
        sys.stdout.write(json.dumps([asdict(result) for result in results], indent=2) + "\n")
    else:
        counts = {name: sum(each.outcome == name for each in results) for name in _MARKS}
        would = " would be" if dry_run else ""
        console.print(
            f"{counts['added']:,}{would} added, {counts['known']:,} already known, "
            f"{counts['refused']:,} refused."
        )
    if any(result.outcome == "refused" for result in results):
        raise typer.Exit(1)


def export_channels(
    file: Annotated[
        Path | None, typer.Argument(help="Default: standard output.", show_default=False)
    ] = None,
    format: Annotated[
        Literal["opml", "csv"] | None,
        typer.Option(help="Default: by the file's name, or OPML.", show_default=False),
    ] = None,
) -> None:
    """Write all channels as OPML, which podcast apps and `import` read, or as CSV."""
    from resources.channels.store import ChannelStore
    from ytcaption.domain.channels.subscription_export import to_csv, to_opml
    from ytcaption.domain.errors import FileUnreadable
    from ytcaption_assets.cli.channels.lookup import all_channels

    with opened_database() as (_, postgres):
        store = ChannelStore(postgres=postgres)
        rows = all_channels(store)
        counts = store.counts([row.id for row in rows]) if rows else {}
    subscriptions = [_subscription(row, counts[row.id]) for row in rows]
    output_format = format or ("csv" if file and file.suffix.lower() == ".csv" else "opml")
    text = (
        to_csv(subscriptions)
        if output_format == "csv"
        else to_opml(subscriptions, datetime.now(UTC))
    )
    if file is None:
        sys.stdout.write(text)
        return
    try:
        file.write_text(text, encoding="utf-8", errors="replace")
    except OSError as error:
        raise FileUnreadable(f"{file} cannot be written: {error.strerror or error}.") from error
    sys.stderr.write(f"{len(rows):,} channels written to {file}\n")


class _Importer:
    """Subscribes to the channels of a list, line by line; an error in one does not stop others."""

    def __init__(
        self,
        settings: "Settings",
        store: "ChannelStore",
        lister: "ChannelLister",
        *,
        paused: bool,
        dry_run: bool,
    ) -> None:
        self._settings = settings
        self._store = store
        self._lister = lister
        self._paused = paused
        self._dry_run = dry_run
        self._known_ids: set[str] = set()

    def import_all(
        self, channels: "list[ListedChannel]", options: ChannelOptions
    ) -> Iterator[ImportedLine]:
        """Yield the result of each line as soon as it is known."""
        from ytcaption.domain.errors import InputError

        for channel in channels:
            try:
                id, created = self._subscribe(channel, options)
            except InputError as error:
                reason = error.message
                if _PINCHFLAT_FEED.search(channel.url):
                    reason += " This is a feed that Pinchflat makes: list its source instead."
                yield ImportedLine(
                    channel.line, channel.url, channel.title, "refused", reason=reason
                )
            else:
                outcome = "added" if created else "known"
                yield ImportedLine(channel.line, channel.url, channel.title, outcome, id)

    def _subscribe(self, channel: "ListedChannel", options: ChannelOptions) -> tuple[str, bool]:
        from resources.channels.plan import plan_from_file
        from ytcaption.domain.caller import LOCAL_OWNER
        from ytcaption.domain.channels.channel import channel_id
        from ytcaption.domain.errors import ChannelNotFound

        plan = plan_from_file(_overridden(channel.settings or {}, options), self._settings)
        source = self._lister.source_of(channel.url)
        id = channel_id(source.source_id, LOCAL_OWNER)
        if not self._dry_run:
            row, created = self._store.create(source, plan, paused=self._paused)
            return row.id, created
        try:
            self._store.get(id)
            return id, False
        except ChannelNotFound:
            is_first = id not in self._known_ids
            self._known_ids.add(id)
            return id, is_first


def _overridden(settings: Mapping[str, object], options: ChannelOptions) -> dict[str, object]:
    """Return a channel's settings from the list, overridden by the command's options."""
    merged = dict(settings) | options
    filters = settings.get("filters")
    if isinstance(filters, Mapping) and "filters" in options:
        merged["filters"] = {**filters, **options["filters"]}
    return merged


def _read(file: Path) -> bytes:
    from ytcaption.domain.channels.subscription_lists import LARGEST_FILE_BYTES
    from ytcaption.domain.errors import FileUnreadable

    try:
        with file.open("rb") as opened:
            return opened.read(LARGEST_FILE_BYTES + 1)
    except OSError as error:
        raise FileUnreadable(f"{file} cannot be read: {error.strerror or error}.") from error


def _print_line(result: ImportedLine, console: "Console") -> None:
    from rich.markup import escape

    name = " · ".join(part for part in (result.title, result.url) if part)
    console.print(
        f"{result.line:>5}  {_MARKS[result.outcome]:<7}  {escape(printable(name))}", soft_wrap=True
    )
    if result.reason:
        console.print(f"{'':>16}{escape(printable(result.reason))}", soft_wrap=True)


def _subscription(row: "ChannelRow", counts: "ChannelCounts") -> "Subscription":
    from resources.channels.plan import plan_request
    from ytcaption.domain.channels.subscription_export import Subscription
    from ytcaption_assets.cli.channels.tables import item_counts, state_of

    return Subscription(
        id=row.id,
        url=row.source.url,
        added_at=row.created_at,
        title=row.source.title,
        feed_url=row.source.feed_url,
        state=state_of(row),
        listed_at=row.listed_at,
        error=row.error_message,
        settings=plan_request(row.plan),
        numbers=item_counts(counts) | {"transcribed": counts.done},
    )
