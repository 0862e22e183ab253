"""How gently bulk work treats each site."""

from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator

from ytcaption.domain.media.pacing import PerSite, QuietHours, not_negative
from ytcaption.settings.group import SettingsGroup


class ThrottleSettings(SettingsGroup):
    """Pauses, quiet hours and daily limits per site. They apply to bulk work only."""

    bulk_pause_s: str = Field(
        "0,youtube.com=10",
        description="Seconds between a download's end and the next bulk download from the same "
        "site: a default, and `site=seconds` for single sites. 0: no pause, and downloads overlap.",
    )
    bulk_pause_jitter: float = Field(
        0.5, ge=0, lt=1, description="Random variation of that pause, as a fraction of it."
    )
    bulk_bytes_per_day: str = Field(
        "0",
        description="Bytes a day from one site after which no bulk download starts: a default, and "
        "`site=bytes` for single sites. 0: no limit.",
    )
    lists_per_minute: str = Field(
        "30,youtube.com=10",
        description="Requests for channel lists a minute: a default, and `site=number` "
        "for single sites. 0: no limit.",
    )
    quiet_hours: str = Field(
        "",
        description="Hours in which no bulk download starts (`08:00-18:00`): a default, and "
        "`site=hours` for single sites, comma-separated.",
    )
    throttle_time_zone: str = Field(
        "UTC",
        description="Time zone of quiet hours and of the daily byte limit (`Europe/Berlin`).",
    )

    @field_validator("bulk_pause_s", "bulk_bytes_per_day", "lists_per_minute")
    @classmethod
    def _check_numbers(cls, value: str) -> str:
        PerSite.parse(value, not_negative, 0.0)
        return value

    @field_validator("quiet_hours")
    @classmethod
    def _check_hours(cls, value: str) -> str:
        PerSite.parse(value, QuietHours.parse, None)
        return value

    @field_validator("throttle_time_zone")
    @classmethod
    def _check_time_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ValueError, OSError, ZoneInfoNotFoundError):
            raise ValueError(f"there is no time zone '{value}'; write Europe/Berlin") from None
        return value
