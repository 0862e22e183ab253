"""How a channel is wanted, on the command line: the same options for all that take them."""

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any

import typer

Asked = dict[str, Any]
"""What was given, as `resources.channels.plan` takes it."""

_SCHEDULE = {
    "every": Annotated[
        str | None,
        typer.Option(help="How often it is looked at, such as 15m, 6h or 1d.", show_default="15m"),
    ],
    "cron": Annotated[
        str | None, typer.Option(help="Instead: five fields, such as '30 6 * * 1-5'.")
    ],
    "time_zone": Annotated[
        str | None, typer.Option(help="In which cron is read, such as Europe/Berlin; else UTC.")
    ],
}
_FILTERS = {
    "title_include": Annotated[
        str | None, typer.Option(help="Regular expression that titles match somewhere.")
    ],
    "title_exclude": Annotated[str | None, typer.Option(help="One that they do not match.")],
    "min_duration_s": Annotated[
        float | None, typer.Option("--min-duration", help="In seconds; shorter ones are left out.")
    ],
    "max_duration_s": Annotated[float | None, typer.Option("--max-duration", help="In seconds.")],
    "from_date": Annotated[
        str | None, typer.Option(help="What is older is left out, such as 2026-01-01.")
    ],
    "newest": Annotated[int | None, typer.Option(min=1, help="Only so many, the newest ones.")],
    "skip_shorts": Annotated[
        bool | None, typer.Option("--skip-shorts/--with-shorts", help="Leave out shorts.")
    ],
    "skip_live": Annotated[
        bool | None,
        typer.Option("--skip-live/--with-live", help="Leave out what is or was live."),
    ],
}
_OTHERS = {
    "language": Annotated[
        str | None, typer.Option(help="Such as en or German; detected when left out.")
    ],
    "model": Annotated[str | None, typer.Option(help="See `ytcaption models list`.")],
    "captions": Annotated[
        str | None,
        typer.Option(
            help="Of the source: prefer, prefer_any, never or only.", show_default="prefer"
        ),
    ],
    "task": Annotated[str | None, typer.Option(help="transcribe, or translate into English.")],
    "initial_prompt": Annotated[
        str | None, typer.Option(help="Text said to have gone before: names, spelling, style.")
    ],
    "hotwords": Annotated[str | None, typer.Option(help="Words to expect.")],
    "priority": Annotated[
        str | None, typer.Option(help="bulk, or interactive.", show_default="bulk")
    ],
    "max_new": Annotated[
        int | None, typer.Option(min=1, help="Most items taken each time it is due.")
    ],
    "keep_days": Annotated[
        float | None, typer.Option(min=0, help="Days that its transcripts are kept; 0: for ever.")
    ],
    "callback_url": Annotated[
        str | None, typer.Option(help="Told of each item's end by a signed POST.")
    ],
    "digest": Annotated[
        str | None,
        typer.Option(
            help="daily or weekly: YTCAPTION_NOTIFY_URLS are told what became of its items.",
            show_default="never",
        ),
    ],
}


def takes_options(command: Callable[..., None]) -> Callable[..., None]:
    """A command with all options of a channel; it gets those given as its argument `asked`."""
    options = _SCHEDULE | _FILTERS | _OTHERS
    signature = inspect.signature(command)
    own = [each for each in signature.parameters.values() if each.name != "asked"]
    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=option)
        for name, option in options.items()
    ]

    @wraps(command)
    def with_options(**values: Any) -> None:
        given = {name: values.pop(name) for name in options}
        command(**values, asked=_asked(given))

    keyword_only = inspect.Parameter.KEYWORD_ONLY
    with_options.__dict__["__signature__"] = signature.replace(
        parameters=[*(each.replace(kind=keyword_only) for each in own), *added]
    )
    with_options.__annotations__ = {each.name: each.annotation for each in own} | options
    return with_options


def _asked(given: Asked) -> Asked:
    """Nested as the API's body is, what was not given left out."""
    given = {name: value for name, value in given.items() if value is not None}
    asked = {name: value for name, value in given.items() if name in _OTHERS}
    for name, fields in (("schedule", _SCHEDULE), ("filters", _FILTERS)):
        if inner := {field: given[field] for field in fields if field in given}:
            asked[name] = inner
    return asked
