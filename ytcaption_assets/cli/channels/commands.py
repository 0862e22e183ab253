"""`ytcaption channels ...`: subscriptions, on the database itself, whether `up` runs or not."""

import json
import sys
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer
from rich.console import Console

from ytcaption_assets.cli.channels import subscription_files as channel_files
from ytcaption_assets.cli.channels.lookup import PAGE, all_channels, named
from ytcaption_assets.cli.channels.options import Asked, takes_options
from ytcaption_assets.cli.channels.tables import (
    channel_document,
    dry_run_document,
    item_document,
    print_channel,
    print_channels,
    print_dry_run,
    print_items,
)
from ytcaption_assets.cli.database import opened_database
from ytcaption_assets.cli.terminal_text import printable

if TYPE_CHECKING:
    from resources.channels.store import ChannelStore
    from ytcaption.domain.channels.filters import ItemState

app = typer.Typer(
    help="Subscriptions: all that a channel, playlist or podcast publishes is transcribed.",
    no_args_is_help=True,
)
app.command("import")(channel_files.import_channels)
app.command("export")(channel_files.export_channels)

Name = Annotated[
    str, typer.Argument(metavar="CHANNEL", help="Its id, how that begins, its link, or its title.")
]
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]


@app.command()
@takes_options
def add(
    url: Annotated[str, typer.Argument(help="Of a channel, playlist, podcast or feed.")],
    asked: Asked,
    paused: Annotated[
        bool, typer.Option("--paused", help="Not looked at until it is resumed.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Subscribes: all that there is and all that comes is transcribed, at the priority bulk."""
    from resources.channels.listing.lister import ChannelLister
    from resources.channels.plan import channel_plan

    with opened_database() as (settings, postgres):
        store = _store(postgres)
        plan = channel_plan(asked, settings)
        source = ChannelLister.from_settings(settings).source_of(url)
        row, created = store.create(source, plan, paused=paused)
        if as_json:
            _print_json(channel_document(row, store.counts([row.id])[row.id]))
            return
    if not created:
        _say(f"{row.name} is known already and stays as it is: {row.id}")
    else:
        when = "once it is resumed" if paused else "as soon as `ytcaption up` runs"
        _say(f"{row.name} is added, and looked at {when}: {row.id}")


@app.command("dry-run")
@takes_options
def dry_run(
    url: Annotated[
        str, typer.Argument(metavar="URL", help="To be added; or one of yours, as it is named.")
    ],
    asked: Asked,
    items: Annotated[
        int, typer.Option(min=1, help="How many are looked at, the newest ones.")
    ] = 50,
    as_json: AsJson = False,
) -> None:
    """Lists it now, and says what would be taken and what left out. Nothing is kept.

    Of a channel of yours, as it is, with what the options change.
    """
    from resources.channels.dry_run import dry_run as list_now
    from resources.channels.listing.lister import ChannelLister
    from resources.channels.plan import changed_plan, channel_plan
    from ytcaption.domain.errors import ChannelNotFound

    with opened_database() as (settings, postgres):
        lister = ChannelLister.from_settings(settings)
        try:
            row = named(_store(postgres), url)
            source, plan = row.source, changed_plan(row.plan, asked, settings)
        except ChannelNotFound:
            plan = channel_plan(asked, settings)
            source = lister.source_of(url)
        seen = list_now(postgres, settings, lister, source, plan, max_items=items)
    if as_json:
        _print_json(dry_run_document(seen))
    else:
        print_dry_run(seen, _console())


@app.command("list")
def list_channels(as_json: AsJson = False) -> None:
    """All channels: how far each is, when it is looked at, what is wrong."""
    with opened_database() as (_, postgres):
        store = _store(postgres)
        rows = all_channels(store)
        counts = store.counts([row.id for row in rows]) if rows else {}
    if as_json:
        _print_json([channel_document(row, counts[row.id]) for row in rows])
    elif not rows:
        _say("No channels. `ytcaption channels add URL` subscribes to one.")
    else:
        print_channels(rows, counts, _console())


@app.command()
def show(channel: Name, as_json: AsJson = False) -> None:
    """One channel: what is wanted of it, and where it stands."""
    with opened_database() as (_, postgres):
        store = _store(postgres)
        row = named(store, channel)
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
            help="Only new, queued, filtered, waiting, refused, gone or erased; may be repeated."
        ),
    ] = None,
    changed: Annotated[
        bool, typer.Option("--changed", help="Only those whose audio is another one by now.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, help="How many, the newest ones.")] = 50,
    as_json: AsJson = False,
) -> None:
    """What its list shows, the newest first, and what became of it."""
    from resources.channels.store import ItemPosition

    states: list[ItemState] = [_state(each) for each in state or ()]
    with opened_database() as (_, postgres):
        store = _store(postgres)
        id = named(store, channel).id
        found = []
        after = None
        while len(found) < limit:
            size = min(PAGE, limit - len(found))
            page = store.items(id, states=states, changed=changed, after=after, limit=size)
            found += page
            if len(page) < size:
                break
            after = ItemPosition(page[-1].position, page[-1].source.media_id)
    if as_json:
        _print_json([item_document(item) for item in found])
    elif not found:
        _say("No such items.")
    else:
        print_items(found, _console())


@app.command()
@takes_options
def change(channel: Name, asked: Asked) -> None:
    """Wants something else of it; what is not named stays. What is taken already stays as it is."""
    from resources.channels.plan import changed_plan
    from ytcaption.domain.errors import InvalidOption

    if not asked:
        raise InvalidOption("Nothing to change. `ytcaption channels change --help` lists options.")
    with opened_database() as (settings, postgres):
        store = _store(postgres)
        row = named(store, channel)
        store.change(row.id, vars(changed_plan(row.plan, asked, settings)))
    _say(f"{row.name} is changed.")


@app.command()
def pause(channel: Name) -> None:
    """Looks at it no more until it is resumed. What is in the queue goes on."""
    with opened_database() as (_, postgres):
        store = _store(postgres)
        row = store.pause(named(store, channel).id)
    _say(f"{row.name} is paused.")


@app.command()
def resume(channel: Name) -> None:
    """Looks at it again, now and by its schedule."""
    with opened_database() as (_, postgres):
        store = _store(postgres)
        row = store.resume(named(store, channel).id)
    _say(f"{row.name} goes on.")


@app.command()
def run(channel: Name) -> None:
    """Has it looked at now, once also where it is paused."""
    with opened_database() as (_, postgres):
        store = _store(postgres)
        row = store.run_now(named(store, channel).id)
    _say(f"{row.name} is looked at as soon as `ytcaption up` runs.")


@app.command()
def remove(
    channel: Name,
    transcriptions: Annotated[
        bool, typer.Option("--with-transcriptions", help="Those of its items are erased, too.")
    ] = False,
) -> None:
    """Leaves it. What was transcribed stays, unless you say otherwise."""
    with opened_database() as (_, postgres):
        store = _store(postgres)
        row = named(store, channel)
        store.delete(row.id, with_transcriptions=transcriptions)
    _say(f"{row.name} is removed.")


def _state(text: str) -> "ItemState":
    from ytcaption.domain.channels.filters import ItemState
    from ytcaption.domain.errors import InvalidOption

    for state in get_args(ItemState):
        if text == state:
            return state
    raise InvalidOption(f"No state '{text[:40]}'. Items are {', '.join(get_args(ItemState))}.")


def _store(postgres: Any) -> "ChannelStore":
    from resources.channels.store import ChannelStore

    return ChannelStore(postgres=postgres)


def _print_json(document: Any) -> None:
    text = json.dumps(document, indent=2, default=lambda value: value.isoformat())
    sys.stdout.write(f"{text}\n")


def _console() -> Console:
    return Console(highlight=False)


def _say(text: str) -> None:
    _console().print(printable(text), markup=False, soft_wrap=True)
