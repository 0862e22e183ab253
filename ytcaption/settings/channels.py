"""How channels are listed."""

from pydantic import Field

from ytcaption.settings.group import SettingsGroup


class ChannelSettings(SettingsGroup):
    """Limits and intervals of reading channel lists and feeds."""

    listing_timeout_s: float = Field(
        1800, gt=0, description="Longest time for reading one channel's list, in seconds."
    )
    max_feed_bytes: int = Field(
        64 * 1024**2, gt=0, description="Largest RSS or Atom feed of a channel, in bytes."
    )
    max_channel_items: int = Field(
        100_000, gt=0, description="Most items read of one channel's list; the rest is left out."
    )
    listing_slots: int = Field(3, ge=1, description="Channels that are listed at the same time.")
    listing_slice_s: float = Field(
        300,
        gt=0,
        description="Seconds after which listing a channel's long history pauses, so that other "
        "channels can be listed; it continues in a later run.",
    )
    relist_days: float = Field(
        7,
        ge=0,
        description="Days between full listings of a channel, which find removed and changed "
        "items. 0: never.",
    )
