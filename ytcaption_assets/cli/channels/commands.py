"""`ytcaption channels ...`: subscriptions, changed in the database whether `up` runs or not."""

import json
import sys
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer
from rich.console import Console

from ytcaption_assets.cli.channels import subscription_files as channel_files
from ytcaption_assets.cli.channels.lookup import PAGE, all_channels, find_channel
from ytcaption_assets.cli.channels.options import ChannelOptions, takes_options
from ytcaption_assets.cli.channels.tables import (
    channel_document,
    dry_run_document,
    item_document,
    item_state,
    print_channel,
    print_channels,
    print_dry_run,
    print_items,
)
from ytcaption_assets.cli.database import opened_database
from ytcaption_assets.cli.terminal_text import printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from resources.channels.rows import ChannelRow
    from resources.channels.store import ChannelStore
    from ytcaption.domain.channels.filters import ItemState

app = typer.Typer(
    help="Subscriptions: transcribe everything that a channel, playlist or podcast publishes.",
    no_args_is_help=True,
)
app.command("import")(channel_files.import_channels)
app.command("export")(channel_files.export_channels)

Name = Annotated[
    str, typer.Argument(metavar="CHANNEL", help="Id, beginning of the id, URL or title.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


@app.command()
@takes_options
def add(
    url: Annotated[str, typer.Argument(help="URL of a channel, playlist, podcast or feed.")],
    options: ChannelOptions,
    paused: Annotated[
        bool, typer.Option("--paused", help="Do not poll it until it is resumed.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Subscribe to a channel: transcribe its existing and its future items, by default as bulk."""
    from resources.channels.listing.lister import ChannelLister
    from resources.channels.plan import channel_plan

    with opened_database() as (settings, postgres):
        store = _store(postgres)
        plan = channel_plan(options, settings)
        source = ChannelLister.from_settings(settings).source_of(url)
        row, created = store.create(source, plan, paused=paused)
        if as_json:
            _print_json(channel_document(row, store.counts([row.id])[row.id]))
            return
    if not created:
        _print(f"{row.name} is already subscribed and was not changed: {row.id}")
    else:
        when = "once it is resumed" if paused else "within seconds while `ytcaption up` runs"
        _print(f"{row.name} is added and will be polled {when}: {row.id}")
        if source.kind == "feed":
            _print(
                "This URL is on no supported site, so it should be a podcast or a feed; its first "
                f"poll shows whether it is. To check now: ytcaption channels dry-run {row.id}"
            )


@app.command("dry-run")
@takes_options
def dry_run(
    url: Annotated[
        str, typer.Argument(metavar="URL", help="URL to try, or a channel that you have added.")
    ],
    options: ChannelOptions,
    items: Annotated[int, typer.Option(min=1, help="Items to examine, the newest ones.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List a channel now and show which items would be included or excluded; store nothing.

    For a channel that you have added, the options given replace its own.
    """
    from resources.channels.dry_run import dry_run as list_now
    from resources.channels.listing.lister import ChannelLister
    from resources.channels.plan import changed_plan, channel_plan
    from ytcaption.domain.errors import ChannelNotFound

    with opened_database() as (settings, postgres):
        lister = ChannelLister.from_settings(settings)
        try:
            row = find_channel(_store(postgres), url)
            source, plan = row.source, changed_plan(row.plan, options, settings)
        except ChannelNotFound:
            plan = channel_plan(options, settings)
            source = lister.source_of(url)
        result = list_now(postgres, settings, lister, source, plan, max_items=items)
    if as_json:
        _print_json(dry_run_document(result))
    else:
        print_dry_run(result, _console())


@app.command("list")
def list_channels(as_json: AsJson = False) -> None:
    """List all channels with their progress, last and next poll, and errors."""
    with opened_database() as (_, postgres):
        store = _store(postgres)
        rows = all_channels(store)
        counts = store.counts([row.id for row in rows]) if rows else {}
    if as_json:
        _print_json([channel_document(row, counts[row.id]) for row in rows])
    elif not rows:
        _print("No channels. `ytcaption channels add URL` subscribes to one.")
    else:
        print_channels(rows, counts, _console())


@app.command()
def show(channel: Name, as_json: AsJson = False) -> None:
    """Show one channel's settings and state."""
    with opened_database() as (_, postgres):
        store = _store(postgres)
        row = find_channel(store, channel)
        counts = store.counts([row.id])[row.id]
    if as_json:
        _print_json(channel_document(row, counts))
    else:
        print_channel(row, counts, _console())


@app.command()
def items(
    channel: Name,
    state: Annotated[
        list[str] | None,
        typer.Option(
            help="Only new, queued, filtered, waiting, refused, missing or erased items; can be "
            "repeated."
        ),
    ] = None,
    changed: Annotated[
        bool, typer.Option("--changed", help="Only items whose audio has been replaced.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, help="Items shown at most, the newest ones.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List a channel's items and their states, newest first."""
    from resources.channels.store import ItemPosition

    states: list[ItemState] = [_state(each) for each in state or ()]
    with opened_database() as (_, postgres):
        store = _store(postgres)
        id = find_channel(store, channel).id
        rows = []
        after = None
        while len(rows) < limit:
            size = min(PAGE, limit - len(rows))
            page = store.items(id, states=states, changed=changed, after=after, limit=size)
            rows += page
            if len(page) < size:
                break
            after = ItemPosition(page[-1].position, page[-1].source.media_id)
    if as_json:
        _print_json([item_document(item) for item in rows])
    elif not rows:
        _print("No such items.")
    else:
        print_items(rows, _console())


@app.command()
@takes_options
def change(channel: Name, options: ChannelOptions) -> None:
    """Change a channel's options; items that are already queued are not affected."""
    from resources.channels.plan import changed_plan
    from ytcaption.domain.errors import InvalidOption

    if not options:
        raise InvalidOption(
            "Nothing to change. `ytcaption channels change --help` lists the options."
        )
    with opened_database() as (settings, postgres):
        store = _store(postgres)
        row = find_channel(store, channel)
        store.change(row.id, vars(changed_plan(row.plan, options, settings)))
    _print(f"{row.name} is changed.")


@app.command()
def pause(channel: Name) -> None:
    """Stop polling a channel until it is resumed. Queued transcriptions continue."""
    row = _applied(channel, lambda store, id: store.pause(id))
    _print(f"{row.name} is paused.")


@app.command()
def resume(channel: Name) -> None:
    """Poll a paused channel again, now and by its schedule."""
    row = _applied(channel, lambda store, id: store.resume(id))
    _print(f"{row.name} is resumed.")


@app.command()
def run(channel: Name) -> None:
    """Poll a channel now, once even if it is paused."""
    row = _applied(channel, lambda store, id: store.run_now(id))
    _print(f"{row.name} is polled within seconds while `ytcaption up` runs, else once it does.")


@app.command()
def remove(
    channel: Name,
    transcriptions: Annotated[
        bool, typer.Option("--with-transcriptions", help="Also erase its transcriptions.")
    ] = False,
) -> None:
    """Unsubscribe from a channel; its transcriptions stay unless you choose otherwise."""
    with opened_database() as (_, postgres):
        store = _store(postgres)
        row = find_channel(store, channel)
        store.delete(row.id, with_transcriptions=transcriptions)
    _print(f"{row.name} is removed.")


def _applied(channel: str, action: "Callable[[ChannelStore, str], ChannelRow]") -> "ChannelRow":
    """Apply an action of the store to the channel that the user names; return its new row."""
    with opened_database() as (_, postgres):
        store = _store(postgres)
        return action(store, find_channel(store, channel).id)


def _state(text: str) -> "ItemState":
    from ytcaption.domain.channels.filters import ItemState
    from ytcaption.domain.errors import InvalidOption

    stored = "gone" if text == "missing" else text  # `gone`: its name before 0.2
    for state in get_args(ItemState):
        if stored == state:
            return state
    names = ", ".join(item_state(state) for state in get_args(ItemState))
    raise InvalidOption(f"There is no state '{text[:40]}'. Use one of: {names}.")


def _store(postgres: Any) -> "ChannelStore":
    from resources.channels.store import ChannelStore

    return ChannelStore(postgres=postgres)


def _print_json(document: Any) -> None:
    text = json.dumps(document, indent=2, default=lambda value: value.isoformat())
    sys.stdout.write(f"{text}\n")


def _console() -> Console:
    return Console(highlight=False)


def _print(text: str) -> None:
    _console().print(printable(text), markup=False, soft_wrap=True)
