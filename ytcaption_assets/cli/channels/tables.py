"""Channels and their items as tables, and as JSON documents."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from ytcaption_assets.cli.terminal_text import printable

if TYPE_CHECKING:
    from resources.channels.dry_run import DryRun
    from resources.channels.rows import ChannelCounts, ChannelItem, ChannelRow
    from ytcaption.domain.channels.channel import ListedItem
    from ytcaption.domain.channels.filters import ItemState


def state_of(row: "ChannelRow") -> str:
    """Return the channel's state in a word or two."""
    if row.run_id is not None:
        return "being listed"
    if row.paused_at is not None:
        return "paused"
    if row.error_code is not None:
        return f"failing ({row.failures})"
    if row.listed_at is None:
        return "not polled yet"
    return "listed" if row.history_next is None else "listing its history"


def channel_document(row: "ChannelRow", counts: "ChannelCounts") -> dict[str, Any]:
    """Return a channel as a JSON document, with times as datetime."""
    from resources.channels.plan import plan_request

    return {
        "id": row.id,
        "owner": row.owner,
        "url": row.source.url,
        "title": row.source.title,
        "feed_url": row.source.feed_url,
        "state": state_of(row),
        "paused": row.paused_at is not None,
        "listed_at": row.listed_at,
        "next_listing_at": row.next_listing_at,
        "error": {"code": row.error_code, "message": row.error_message} if row.error_code else None,
        "failures": row.failures,
        "history": {
            "listed": row.history_next,
            "total": row.history_total,
            "done_at": row.history_done_at,
        },
        "items": item_counts(counts),
        "transcriptions": {str(status): number for status, number in counts.statuses.items()},
        "changed": counts.changed,
        "settings": _settings(plan_request(row.plan)),
        "created_at": row.created_at,
    }


def item_state(state: "ItemState") -> str:
    """Return the public name of an item's state; the database calls missing items `gone`."""
    return "missing" if state == "gone" else state


def dry_run_document(result: "DryRun") -> dict[str, Any]:
    """Return the items that would be included or excluded as a JSON document."""
    return {
        "url": result.channel.url,
        "title": result.channel.title,
        "total": result.total,
        "is_complete": result.is_complete,
        "whole": result.is_complete,  # its name before 0.2
        "items": [
            _listed(each.item) | {"state": item_state(each.state), "reason": each.reason}
            for each in result.items
        ],
    }


def item_document(item: "ChannelItem") -> dict[str, Any]:
    """Return an item as a JSON document."""
    return _listed(item) | {
        "state": item_state(item.state),
        "reason": item.reason,
        "transcription_id": item.transcription_id,
        "status": item.status,
        "change": item.change,
    }


def item_counts(counts: "ChannelCounts") -> dict[str, int]:
    """Return the number of items by state; missing ones also under the old name `gone`."""
    numbers: dict[str, int] = {**counts.states}
    if "gone" in numbers:
        numbers["missing"] = numbers["gone"]
    return numbers


def _settings(request: dict[str, Any]) -> dict[str, Any]:
    """Return the settings with `max_items` under its old name, too."""
    return request | ({"max_new": request["max_items"]} if "max_items" in request else {})


def _listed(item: "ChannelItem | ListedItem") -> dict[str, Any]:
    return {
        "media_id": item.source.media_id,
        "url": item.source.url,
        "title": item.source.title,
        "published_at": item.published_at,
        "duration_s": item.duration_s,
    }


def print_channels(
    rows: Sequence["ChannelRow"], counts: Mapping[str, "ChannelCounts"], console: Console
) -> None:
    """Print a row per channel, and below the table the errors of those that fail."""
    table = Table(
        "channel", "state", Column("done", justify="right"), "excluded", "listed", "next", "id"
    )
    _never_wrap_times(table)
    for row in rows:
        numbers = counts[row.id]
        excluded = sum(numbers.states.get(name, 0) for name in ("filtered", "refused", "gone"))
        table.add_row(
            escape(printable(row.name)),
            state_of(row),
            f"{numbers.done:,} of {numbers.wanted:,}",
            f"{excluded:,}",
            local_time(row.listed_at) or "never",
            "" if row.paused_at else local_time(row.next_listing_at),
            row.id,
        )
    console.print(table)
    for row in rows:
        if row.error_message:
            console.print(
                printable(f"{row.name}: {row.error_message}"), markup=False, soft_wrap=True
            )


def print_channel(row: "ChannelRow", counts: "ChannelCounts", console: Console) -> None:
    """Print everything about one channel."""
    plan = row.plan
    filters = ", ".join(f"{name}: {value}" for name, value in plan.filters.to_dict().items())
    options = ", ".join(f"{name}: {value}" for name, value in plan.options.to_dict().items())
    history = f"complete since {local_time(row.history_done_at)}" if row.history_done_at else None
    if row.history_next is not None:
        total = "" if row.history_total is None else f" of {row.history_total:,}"
        history = f"{row.history_next:,}{total} listed so far"
    lines = {
        "title": row.source.title,
        "url": row.source.url,
        "feed": row.source.feed_url,
        "id": row.id,
        "state": state_of(row),
        "schedule": plan.schedule.text,
        "filters": filters or "none",
        "options": options,
        "priority": plan.priority,
        "max items": plan.max_items,
        "kept": None if plan.keep_days is None else f"{plan.keep_days:g} days",
        "callback url": plan.callback.url if plan.callback else None,
        "digest": None if plan.digest == "never" else plan.digest,
        "last listed": local_time(row.listed_at) or "never",
        "next": "" if row.paused_at else local_time(row.next_listing_at),
        "history": history,
        "items": _counts_text({item_state(state): count for state, count in counts.states.items()}),
        "transcriptions": _counts_text(counts.statuses),
        "changed": f"{counts.changed:,}" if counts.changed else None,
        "error": row.error_message,
    }
    for name, value in lines.items():
        if value not in (None, ""):
            console.print(f"{name:>15}  {printable(value)}", markup=False, soft_wrap=True)


def print_dry_run(result: "DryRun", console: Console) -> None:
    """Print a row per item, newest first, and the totals."""
    table = Table("published", "title", "length", "would be")
    for each in result.items:
        would_be = item_state(each.state)
        if each.state == "new":
            would_be = "included next time" if each.reason else "included"
        elif each.reason:
            would_be = f"{would_be}: {each.reason}"
        table.add_row(*_columns(each.item), escape(would_be))
    if result.items:
        console.print(table)
    name = printable(result.channel.title or result.channel.url)
    of = f" of {result.total:,}" if result.total is not None else ""
    note = "" if result.is_complete else " There are more items than were examined."
    console.print(
        f"{name}: {len(result.included):,} would be included, {len(result.excluded):,} excluded "
        f"of {len(result.items):,}{of} items.{note}",
        markup=False,
        soft_wrap=True,
    )


def _never_wrap_times(table: Table) -> None:
    """On a narrow terminal, wrap texts and ids but never times and durations."""
    for column in table.columns:
        column.overflow = "fold"
        column.no_wrap = column.header in ("published", "length", "done", "listed", "next")


def print_items(items: Sequence["ChannelItem"], console: Console) -> None:
    """Print a row per item, newest first."""
    table = Table("published", "title", "length", "state", "transcription")
    _never_wrap_times(table)
    for item in items:
        state = item_state(item.state) + (f": {item.reason}" if item.reason else "")
        if item.status:
            state = item.status if item.state == "queued" else f"{state}, {item.status}"
        if item.change:
            state += f" ({item.change})"
        table.add_row(*_columns(item), escape(state), item.transcription_id or "")
    console.print(table)


def _columns(item: "ChannelItem | ListedItem") -> tuple[str, str, str]:
    return (
        f"{item.published_at:%Y-%m-%d}" if item.published_at else "",
        escape(printable(item.source.title or item.source.url or item.source.media_id)),
        "" if item.duration_s is None else f"{item.duration_s / 60:.1f} min",
    )


def local_time(at: datetime | None) -> str:
    """Return a time in this machine's time zone, to the minute."""
    return "" if at is None else at.astimezone().strftime("%Y-%m-%d %H:%M")


def _counts_text(counts: Mapping[Any, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counts.items()) or "none"
