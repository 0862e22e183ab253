"""Bodies of requests about channels."""

from datetime import date
from typing import Annotated, Any

from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from api.transcriptions.request_schemas import MAX_URL_LENGTH, TextOptions
from ytcaption.domain.channels.channel import Digest
from ytcaption.domain.channels.filters import LONGEST_EXPRESSION
from ytcaption.domain.request import Priority

_Seconds = Annotated[float, Field(ge=0, lt=1e9)]
_Expression = Annotated[str, Field(max_length=LONGEST_EXPRESSION)]


class Schedule(BaseModel):
    """When a channel is polled: at an interval, or by cron."""

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
            description="IANA name of the zone in which `cron` is read. Default: UTC.",
            examples=["Europe/Berlin"],
        ),
    ] = None


class ChannelFilters(BaseModel):
    """Which items are transcribed; all filters must match. An unknown property always matches."""

    model_config = ConfigDict(extra="forbid")

    title_include: Annotated[
        _Expression | None,
        Field(
            description="Regular expression (RE2) to find in the title, ignoring case.",
            examples=["interview|talk"],
        ),
    ] = None
    title_exclude: Annotated[
        _Expression | None,
        Field(description="Regular expression that must not match.", examples=["trailer"]),
    ] = None
    min_duration_s: _Seconds | None = None
    max_duration_s: _Seconds | None = None
    from_date: Annotated[
        date | None, Field(description="Published on this day or later.", examples=["2026-01-01"])
    ] = None
    newest: Annotated[
        int | None,
        Field(ge=1, le=1_000_000, description="Only this many, the newest ones.", examples=[50]),
    ] = None
    skip_shorts: bool | None = None
    skip_live: Annotated[
        bool | None, Field(description="Skip live streams, even after they have ended.")
    ] = None


class ChannelSettings(TextOptions):
    """How a channel is polled and transcribed."""

    model_config = ConfigDict(extra="forbid", validate_by_name=True)

    schedule: Annotated[
        Schedule | None,
        Field(description="When it is polled. Default: every 15 minutes."),
    ] = None
    filters: Annotated[
        ChannelFilters | None, Field(description="Default: all items are transcribed.")
    ] = None
    priority: Annotated[
        Priority, Field(description="`bulk` runs only when nothing interactive waits.")
    ] = "bulk"
    max_items: Annotated[
        int | None,
        Field(
            validation_alias=AliasChoices("max_items", "max_new"),
            ge=1,
            le=1_000_000,
            description="Maximum new items per poll of the schedule; the others follow later.",
            examples=[20],
        ),
    ] = None
    keep_days: Annotated[
        float | None,
        Field(
            ge=0,
            le=36_500,
            description="Days to keep its transcripts; 0: for ever. Default: as all others.",
            examples=[90],
        ),
    ] = None
    digest: Annotated[
        Digest,
        Field(
            description="How often operators get a summary of its items; any value but `never` "
            "needs the scope `admin`."
        ),
    ] = "never"

    def plan(self) -> dict[str, Any]:
        """Return the fields that were given, as `resources.channels.plan` takes them."""
        return self.model_dump(mode="json", exclude_unset=True, exclude={"url", "paused"})


class ChannelRequest(ChannelSettings):
    """A channel to subscribe to, and how."""

    url: Annotated[
        str,
        Field(
            min_length=1,
            max_length=MAX_URL_LENGTH,
            description="A channel or playlist of a supported site, or an RSS or Atom feed.",
            examples=["https://www.youtube.com/@tagesschau"],
        ),
    ]
    paused: Annotated[
        bool, Field(strict=True, description="Subscribe, but do not poll until it is resumed.")
    ] = False


class ChannelUpdate(ChannelSettings):
    """Changes to a channel: a field that is left out stays; null restores its default.

    `filters` changes the filters it names; `schedule` is replaced as a whole.
    """

    paused: Annotated[bool | None, Field(strict=True, description="True: it is not polled.")] = None
