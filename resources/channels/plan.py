"""What people say of a channel -> what is wanted of it, and back: the API's body, the options of
the command line and the OPML that we export say the same."""

from collections.abc import Mapping
from datetime import date
from typing import Any, get_args

from resources.channels.rows import ChannelPlan
from resources.sites.resolve import checked_url
from resources.transcriptions.rows import Callback
from ytcaption.domain.channels.channel import Digest
from ytcaption.domain.channels.filters import checked_filters
from ytcaption.domain.channels.schedule import Schedule, checked_schedule
from ytcaption.domain.errors import InvalidOption
from ytcaption.domain.request import checked_options
from ytcaption.settings import Settings

OPTIONS = (
    "model", "language", "task", "initial_prompt", "hotwords", "temperature", "captions",
)  # fmt: skip
NAMES = frozenset(
    (*OPTIONS, "schedule", "filters", "priority", "max_new", "keep_days", "callback_url",
     "callback_include", "digest")
)  # fmt: skip


def channel_plan(asked: Mapping[str, Any], settings: Settings) -> ChannelPlan:
    """What is asked for, in a form that can be carried out.

    Args:
        asked: JSON values by these names; None and what is left out are the default.

    Raises:
        InputError: it cannot.
    """
    unknown = asked.keys() - NAMES
    if unknown:
        raise InvalidOption(f"A channel has no option {', '.join(sorted(unknown))}.")
    given = {name: value for name, value in asked.items() if value is not None}
    _check_values(given)
    filters = {name: value for name, value in given.get("filters", {}).items() if value is not None}
    if isinstance(filters.get("from_date"), str):
        filters["from_date"] = _day(filters["from_date"])
    options: dict[str, Any] = {"model": settings.model}
    options |= {name: given[name] for name in OPTIONS if name in given}
    callback = None
    if "callback_url" in given:
        callback = Callback(
            checked_url(given["callback_url"], settings), given.get("callback_include")
        )
    return ChannelPlan(
        options=checked_options(**options, allowed_models=settings.models),
        schedule=checked_schedule(**given.get("schedule", {})),
        filters=checked_filters(**filters),
        priority=given.get("priority", "bulk"),
        max_new=given.get("max_new"),
        keep_days=given.get("keep_days"),
        callback=callback,
        digest=given.get("digest", "never"),
    )


def changed_plan(
    before: ChannelPlan, changes: Mapping[str, Any], settings: Settings
) -> ChannelPlan:
    """A plan with other values: null is as if it had never been given, filters are changed one by
    one, a schedule is taken whole.

    Raises:
        InputError: what comes out cannot be carried out.
    """
    asked = asked_of(before)
    merged = asked | dict(changes)
    if changes.get("filters"):
        merged["filters"] = asked.get("filters", {}) | changes["filters"]
    return channel_plan(merged, settings)


def plan_written_down(values: Mapping[str, Any], settings: Settings) -> ChannelPlan:
    """A plan from a file, of which no type is known.

    Raises:
        InputError: it is none.
    """
    try:
        return channel_plan(values, settings)
    except (TypeError, AttributeError, ValueError) as error:
        raise InvalidOption("The list holds settings of this channel that are none.") from error


def asked_of(plan: ChannelPlan) -> dict[str, Any]:
    """The inverse of `channel_plan`: what would have to be asked for, set values only."""
    asked: dict[str, Any] = plan.options.to_dict()
    asked["schedule"] = requested_schedule(plan.schedule)
    if filters := plan.filters.to_dict():
        asked["filters"] = filters
    asked["priority"] = plan.priority
    for name in ("max_new", "keep_days"):
        if (value := getattr(plan, name)) is not None:
            asked[name] = value
    if plan.callback is not None:
        asked["callback_url"] = plan.callback.url
        if plan.callback.include is not None:
            asked["callback_include"] = plan.callback.include
    if plan.digest != "never":
        asked["digest"] = plan.digest
    return asked


def requested_schedule(schedule: Schedule) -> dict[str, str]:
    """A schedule as it is asked for."""
    if schedule.cron is not None:
        return {"cron": schedule.cron, "time_zone": schedule.time_zone}
    return {"every": schedule.text.removeprefix("every ")}


def _check_values(given: Mapping[str, Any]) -> None:
    """Of what is no option of text, schedule or filter."""
    priority, include = given.get("priority", "bulk"), given.get("callback_include")
    if priority not in ("interactive", "bulk"):
        raise InvalidOption(f"Unknown priority '{priority[:40]}'. Use bulk or interactive.")
    if include not in (None, "result"):
        raise InvalidOption("callback_include is result, or left out.")
    if given.get("digest", "never") not in get_args(Digest):
        raise InvalidOption("digest is never, daily or weekly.")
    max_new, keep_days = given.get("max_new", 1), given.get("keep_days", 0)
    if not 1 <= int(max_new) == max_new <= 1_000_000:
        raise InvalidOption("max_new is a whole number from 1 to 1,000,000.")
    if not 0 <= keep_days <= 36_500:  # NaN is refused, too
        raise InvalidOption("keep_days is a number of days from 0 to 36,500.")


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise InvalidOption(f"'{text[:40]}' is no date. Write it as 2026-11-24.") from error
