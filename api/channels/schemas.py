"""Channels, as they are asked for."""

from datetime import date
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from api.transcriptions.request_schemas import MAX_URL_LENGTH, TextOptions
from ytcaption.domain.channels.channel import Digest
from ytcaption.domain.channels.filters import LONGEST_EXPRESSION
from ytcaption.domain.request import Priority

_Seconds = Annotated[float, Field(ge=0, lt=1e9)]
_Expression = Annotated[str, Field(max_length=LONGEST_EXPRESSION)]


class ScheduleAsked(BaseModel):
    """When it is looked at: each so often, or by cron."""

    model_config = ConfigDict(extra="forbid")

    every: Annotated[
        str | None,
        Field(max_length=40, description="A number and s, m, h, d or w.", examples=["6h"]),
    ] = None
    cron: Annotated[
        str | None,
        Field(max_length=200, description="Five fields.", examples=["30 6 * * 1-5"]),
    ] = None
    time_zone: Annotated[
        str | None,
        Field(
            max_length=60,
            description="IANA name, in which `cron` is read. Left out: UTC.",
            examples=["Europe/Berlin"],
        ),
    ] = None


class FiltersAsked(BaseModel):
    """Which of its items are taken; all of it must be so. What is not known of an item passes."""

    model_config = ConfigDict(extra="forbid")

    title_include: Annotated[
        _Expression | None,
        Field(
            description="Regular expression (RE2) that the title matches somewhere, in any case.",
            examples=["interview|talk"],
        ),
    ] = None
    title_exclude: Annotated[
        _Expression | None, Field(description="One that it does not match.", examples=["trailer"])
    ] = None
    min_duration_s: _Seconds | None = None
    max_duration_s: _Seconds | None = None
    from_date: Annotated[
        date | None, Field(description="Published that day or later.", examples=["2026-01-01"])
    ] = None
    newest: Annotated[
        int | None,
        Field(ge=1, le=1_000_000, description="Of all, so many, the newest ones.", examples=[50]),
    ] = None
    skip_shorts: bool | None = None
    skip_live: Annotated[bool | None, Field(description="Also what was live, once it is over.")] = (
        None
    )


class ChannelWanted(TextOptions):
    """What is wanted of a channel, beside its items' text."""

    model_config = ConfigDict(extra="forbid")

    schedule: Annotated[
        ScheduleAsked | None,
        Field(description="When it is looked at. Left out: each 15 minutes."),
    ] = None
    filters: Annotated[FiltersAsked | None, Field(description="Left out: all is taken.")] = None
    priority: Annotated[
        Priority, Field(description="`bulk` waits until nothing interactive does.")
    ] = "bulk"
    max_new: Annotated[
        int | None,
        Field(
            ge=1,
            le=1_000_000,
            description="Most items that are taken each time it is due; the others come next time.",
            examples=[20],
        ),
    ] = None
    keep_days: Annotated[
        float | None,
        Field(
            ge=0,
            le=36_500,
            description="Days that its transcripts are kept, 0: for ever. Left out: as all others.",
            examples=[90],
        ),
    ] = None
    digest: Annotated[
        Digest,
        Field(
            description="How often the operators are told what became of its items; the scope "
            "`admin` is needed for any but `never`."
        ),
    ] = "never"

    def asked(self) -> dict[str, Any]:
        """What was given, as `resources.channels.plan` takes it."""
        return self.model_dump(mode="json", exclude_unset=True, exclude={"url", "paused"})


class ChannelCreate(ChannelWanted):
    """A channel to subscribe to, and how."""

    url: Annotated[
        str,
        Field(
            min_length=1,
            max_length=MAX_URL_LENGTH,
            description="A channel or playlist of a known site, or an RSS or Atom feed.",
            examples=["https://www.youtube.com/@tagesschau"],
        ),
    ]
    paused: Annotated[
        bool, Field(strict=True, description="Known, but not looked at until it is resumed.")
    ] = False


class ChannelChange(ChannelWanted):
    """What is to be different; what is left out stays, and null is as if it had never been given.

    `filters` changes those that it names, `schedule` is taken whole.
    """

    paused: Annotated[bool | None, Field(strict=True, description="True: it is not looked at.")] = (
        None
    )
