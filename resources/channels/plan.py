"""A channel's plan from user input, and back.

The API's body, the command line's options and the exported OPML use the same names.
"""

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
from ytcaption.settings.settings import Settings

OPTIONS = (
    "model", "language", "task", "initial_prompt", "hotwords", "temperature", "captions",
)  # fmt: skip
NAMES = frozenset(
    (*OPTIONS, "schedule", "filters", "priority", "max_items", "keep_days", "callback_url",
     "callback_include", "digest")
)  # fmt: skip
OLD_NAMES = {"max_new": "max_items"}
"""New names by those before 0.2, which exported lists may hold."""


def channel_plan(request: Mapping[str, Any], settings: Settings) -> ChannelPlan:
    """Return the plan that a request describes.

    Args:
        request: JSON values by name; None and missing ones are the default.

    Raises:
        InputError: a value is invalid.
    """
    unknown = request.keys() - NAMES
    if unknown:
        raise InvalidOption(f"A channel has no option {', '.join(sorted(unknown))}.")
    values = {name: value for name, value in request.items() if value is not None}
    _check_values(values)
    filters = {
        name: value for name, value in values.get("filters", {}).items() if value is not None
    }
    if isinstance(filters.get("from_date"), str):
        filters["from_date"] = _date(filters["from_date"])
    options: dict[str, Any] = {"model": settings.speech.model}
    options |= {name: values[name] for name in OPTIONS if name in values}
    callback = None
    if "callback_url" in values:
        callback = Callback(
            checked_url(values["callback_url"], settings), values.get("callback_include")
        )
    return ChannelPlan(
        options=checked_options(**options, allowed_models=settings.speech.models),
        schedule=checked_schedule(**values.get("schedule", {})),
        filters=checked_filters(**filters),
        priority=values.get("priority", "bulk"),
        max_items=values.get("max_items"),
        keep_days=values.get("keep_days"),
        callback=callback,
        digest=values.get("digest", "never"),
    )


def changed_plan(
    before: ChannelPlan, changes: Mapping[str, Any], settings: Settings
) -> ChannelPlan:
    """Return the plan with changed values.

    Null resets a value to its default; filters are changed one by one, a schedule as a whole.

    Raises:
        InputError: the resulting plan is invalid.
    """
    request = plan_request(before)
    merged = request | dict(changes)
    if changes.get("filters"):
        merged["filters"] = request.get("filters", {}) | changes["filters"]
    return channel_plan(merged, settings)


def plan_from_file(values: Mapping[str, Any], settings: Settings) -> ChannelPlan:
    """Return a plan from a file whose values may have any type, and whose names may be old.

    Raises:
        InputError: it is invalid.
    """
    renamed = {OLD_NAMES[name]: value for name, value in values.items() if name in OLD_NAMES}
    current = {name: value for name, value in values.items() if name not in OLD_NAMES}
    try:
        return channel_plan(renamed | current, settings)
    except (TypeError, AttributeError, ValueError) as error:
        raise InvalidOption("The settings of this channel in the list are invalid.") from error


def plan_request(plan: ChannelPlan) -> dict[str, Any]:
    """Return the request for a plan, the inverse of `channel_plan`; only values that are set."""
    request: dict[str, Any] = plan.options.to_dict()
    request["schedule"] = schedule_request(plan.schedule)
    if filters := plan.filters.to_dict():
        request["filters"] = filters
    request["priority"] = plan.priority
    for name in ("max_items", "keep_days"):
        if (value := getattr(plan, name)) is not None:
            request[name] = value
    if plan.callback is not None:
        request["callback_url"] = plan.callback.url
        if plan.callback.include is not None:
            request["callback_include"] = plan.callback.include
    if plan.digest != "never":
        request["digest"] = plan.digest
    return request


def schedule_request(schedule: Schedule) -> dict[str, str]:
    """Return the request for a schedule."""
    if schedule.cron is not None:
        return {"cron": schedule.cron, "time_zone": schedule.time_zone}
    return {"every": schedule.text.removeprefix("every ")}


def _check_values(values: Mapping[str, Any]) -> None:
    """Check the values that are no transcription option, schedule or filter."""
    priority, include = values.get("priority", "bulk"), values.get("callback_include")
    if priority not in ("interactive", "bulk"):
        raise InvalidOption(f"Unknown priority '{priority[:40]}'. Use bulk or interactive.")
    if include not in (None, "result"):
        raise InvalidOption("callback_include must be 'result', or left out.")
    if values.get("digest", "never") not in get_args(Digest):
        raise InvalidOption("digest must be never, daily or weekly.")
    max_items, keep_days = values.get("max_items", 1), values.get("keep_days", 0)
    if not 1 <= int(max_items) == max_items <= 1_000_000:
        raise InvalidOption("max_items must be a whole number from 1 to 1,000,000.")
    if not 0 <= keep_days <= 36_500:  # NaN is refused, too
        raise InvalidOption("keep_days must be a number of days from 0 to 36,500.")


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise InvalidOption(f"'{text[:40]}' is not a date. Write it as 2026-11-24.") from error
