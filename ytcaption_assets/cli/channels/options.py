"""The options of a channel, shared by all commands that take them."""

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any

import typer

ChannelOptions = dict[str, Any]
"""The options given, in the form that `resources.channels.plan` takes."""

_SCHEDULE = {
    "every": Annotated[
        str | None,
        typer.Option(help="Interval between polls, such as 15m, 6h or 1d.", show_default="15m"),
    ],
    "cron": Annotated[
        str | None,
        typer.Option(help="Cron expression instead of an interval, such as '30 6 * * 1-5'."),
    ],
    "time_zone": Annotated[
        str | None, typer.Option(help="Time zone of --cron, such as Europe/Berlin; default: UTC.")
    ],
}
_FILTERS = {
    "title_include": Annotated[
        str | None, typer.Option(help="Only titles with a match of this regular expression.")
    ],
    "title_exclude": Annotated[
        str | None, typer.Option(help="No titles with a match of this regular expression.")
    ],
    "min_duration_s": Annotated[
        float | None, typer.Option("--min-duration", help="Shortest duration, in seconds.")
    ],
    "max_duration_s": Annotated[
        float | None, typer.Option("--max-duration", help="Longest duration, in seconds.")
    ],
    "from_date": Annotated[
        str | None, typer.Option(help="First day of publication, such as 2026-01-01.")
    ],
    "newest": Annotated[int | None, typer.Option(min=1, help="Only this many, the newest ones.")],
    "skip_shorts": Annotated[
        bool | None, typer.Option("--skip-shorts/--with-shorts", help="Exclude shorts.")
    ],
    "skip_live": Annotated[
        bool | None,
        typer.Option("--skip-live/--with-live", help="Exclude live streams and recorded ones."),
    ],
}
_OTHERS = {
    "language": Annotated[
        str | None, typer.Option(help="A code or name, such as en or German; default: detected.")
    ],
    "model": Annotated[str | None, typer.Option(help="See `ytcaption models list`.")],
    "captions": Annotated[
        str | None,
        typer.Option(
            help="Use of the source's captions: prefer, prefer_any, never or only.",
            show_default="prefer",
        ),
    ],
    "task": Annotated[str | None, typer.Option(help="transcribe, or translate (into English).")],
    "initial_prompt": Annotated[
        str | None,
        typer.Option(help="Text to prime the model with: names, spelling and style to follow."),
    ],
    "hotwords": Annotated[str | None, typer.Option(help="Words for the model to expect.")],
    "priority": Annotated[
        str | None, typer.Option(help="bulk or interactive.", show_default="bulk")
    ],
    "max_items": Annotated[
        int | None,
        typer.Option(min=1, help="Items to transcribe at most each interval."),
    ],
    "keep_days": Annotated[
        float | None, typer.Option(min=0, help="Days to keep its transcripts; 0: forever.")
    ],
    "callback_url": Annotated[
        str | None, typer.Option(help="URL that receives a signed POST when an item ends.")
    ],
    "digest": Annotated[
        str | None,
        typer.Option(
            help="daily or weekly: send a summary of its items to YTCAPTION_NOTIFY_URLS.",
            show_default="never",
        ),
    ],
}
_DEPRECATED = {
    "old_max_new": Annotated[int | None, typer.Option("--max-new", min=1, hidden=True)],
}
"""Names before 0.2, which are still accepted."""


def takes_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add all options of a channel to a command, which gets those given as `options`."""
    options = _SCHEDULE | _FILTERS | _OTHERS | _DEPRECATED
    signature = inspect.signature(command)
    own = [each for each in signature.parameters.values() if each.name != "options"]
    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=option)
        for name, option in options.items()
    ]

    @wraps(command)
    def with_options(**values: Any) -> None:
        given = {name: values.pop(name) for name in options}
        old_max_new = given.pop("old_max_new")
        if given["max_items"] is None:
            given["max_items"] = old_max_new
        command(**values, options=_nested(given))

    keyword_only = inspect.Parameter.KEYWORD_ONLY
    with_options.__dict__["__signature__"] = signature.replace(
        parameters=[*(each.replace(kind=keyword_only) for each in own), *added]
    )
    with_options.__annotations__ = {each.name: each.annotation for each in own} | options
    return with_options


def _nested(given: ChannelOptions) -> ChannelOptions:
    """Return the options that were given, nested as in the API's request body."""
    given = {name: value for name, value in given.items() if value is not None}
    nested = {name: value for name, value in given.items() if name in _OTHERS}
    for name, fields in (("schedule", _SCHEDULE), ("filters", _FILTERS)):
        if inner := {field: given[field] for field in fields if field in given}:
            nested[name] = inner
    return nested
