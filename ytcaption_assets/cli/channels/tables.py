"""Channels and their items for people, and for programs."""

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


def state_of(row: "ChannelRow") -> str:
    """In a word or two."""
    if row.run_id is not None:
        return "being listed"
    if row.paused_at is not None:
        return "paused"
    if row.error_code is not None:
        return f"failing ({row.failures})"
    if row.listed_at is None:
        return "not looked at yet"
    return "listed" if row.history_next is None else "listing its history"


def channel_document(row: "ChannelRow", counts: "ChannelCounts") -> dict[str, Any]:
    """A channel for programs, with JSON values but for times."""
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
        "items": dict(counts.states),
        "transcriptions": {str(status): number for status, number in counts.statuses.items()},
        "changed": counts.changed,
        "settings": plan_request(row.plan),
        "created_at": row.created_at,
    }


def dry_run_document(seen: "DryRun") -> dict[str, Any]:
    """What would be taken, for programs."""
    return {
        "url": seen.channel.url,
        "title": seen.channel.title,
        "total": seen.total,
        "whole": seen.is_complete,
        "items": [
            _listed(each.item) | {"state": each.state, "reason": each.reason} for each in seen.items
        ],
    }


def item_document(item: "ChannelItem") -> dict[str, Any]:
    """An item for programs."""
    return _listed(item) | {
        "state": item.state,
        "reason": item.reason,
        "transcription_id": item.transcription_id,
        "status": item.status,
        "change": item.change,
    }


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
    """A line each, and below it why one fails."""
    table = Table(
        "channel", "state", Column("done", justify="right"), "left out", "listed", "next", "id"
    )
    _keep_moments(table)
    for row in rows:
        numbers = counts[row.id]
        left_out = sum(numbers.states.get(name, 0) for name in ("filtered", "refused", "gone"))
        table.add_row(
            escape(printable(row.name)),
            state_of(row),
            f"{numbers.done:,} of {numbers.wanted:,}",
            f"{left_out:,}",
            moment(row.listed_at) or "never",
            "" if row.paused_at else moment(row.next_listing_at),
            row.id,
        )
    console.print(table)
    for row in rows:
        if row.error_message:
            console.print(
                printable(f"{row.name}: {row.error_message}"), markup=False, soft_wrap=True
            )


def print_channel(row: "ChannelRow", counts: "ChannelCounts", console: Console) -> None:
    """All that there is to know of one."""
    plan = row.plan
    filters = ", ".join(f"{name}: {value}" for name, value in plan.filters.to_dict().items())
    options = ", ".join(f"{name}: {value}" for name, value in plan.options.to_dict().items())
    history = f"whole since {moment(row.history_done_at)}" if row.history_done_at else None
    if row.history_next is not None:
        total = "" if row.history_total is None else f" of {row.history_total:,}"
        history = f"{row.history_next:,}{total} listed so far"
    lines = {
        "title": row.source.title,
        "address": row.source.url,
        "feed": row.source.feed_url,
        "id": row.id,
        "state": state_of(row),
        "schedule": plan.schedule.text,
        "filters": filters or "none",
        "options": options,
        "priority": plan.priority,
        "most a time": plan.max_new,
        "kept": None if plan.keep_days is None else f"{plan.keep_days:g} days",
        "told at": plan.callback.url if plan.callback else None,
        "digest": None if plan.digest == "never" else plan.digest,
        "last listed": moment(row.listed_at) or "never",
        "next": "" if row.paused_at else moment(row.next_listing_at),
        "history": history,
        "items": _numbers(counts.states),
        "transcriptions": _numbers(counts.statuses),
        "changed": f"{counts.changed:,}" if counts.changed else None,
        "trouble": row.error_message,
    }
    for name, value in lines.items():
        if value not in (None, ""):
            console.print(f"{name:>15}  {printable(value)}", markup=False, soft_wrap=True)


def print_dry_run(seen: "DryRun", console: Console) -> None:
    """A line an item, the newest first, and what all of it comes to."""
    table = Table("published", "title", "length", "would be")
    for each in seen.items:
        would_be = "taken" if each.state == "new" and each.reason is None else each.state
        if would_be == "new":
            would_be = "taken next time"
        elif each.reason:
            would_be = f"{each.state}: {each.reason}"
        table.add_row(*_columns(each.item), escape(would_be))
    if seen.items:
        console.print(table)
    name = printable(seen.channel.title or seen.channel.url)
    of = f" of {seen.total:,}" if seen.total is not None else ""
    rest = "" if seen.is_complete else " There is more than was looked at."
    console.print(
        f"{name}: {len(seen.included):,} would be taken, {len(seen.excluded):,} left out, of "
        f"{len(seen.items):,}{of} items.{rest}",
        markup=False,
        soft_wrap=True,
    )


def _keep_moments(table: Table) -> None:
    """On a narrow terminal texts and ids go on in the next line; moments and lengths do not."""
    for column in table.columns:
        column.overflow = "fold"
        column.no_wrap = column.header in ("published", "length", "done", "listed", "next")


def print_items(items: Sequence["ChannelItem"], console: Console) -> None:
    """A line each, the newest first."""
    table = Table("published", "title", "length", "state", "transcription")
    _keep_moments(table)
    for item in items:
        state = f"{item.state}: {item.reason}" if item.reason else item.state
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


def moment(at: datetime | None) -> str:
    """On this machine's clock."""
    return "" if at is None else at.astimezone().strftime("%Y-%m-%d %H:%M")


def _numbers(numbers: Mapping[Any, int]) -> str:
    return ", ".join(f"{number:,} {name}" for name, number in numbers.items()) or "none"
