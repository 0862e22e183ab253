"""Checks of the settings that say what downloads go out with and how gently they treat sites."""

import ipaddress
import re
from functools import cached_property
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import SecretStr, field_validator
from pydantic_settings import BaseSettings

from ytcaption.domain.media.egress import BrowserProfile, Upstream
from ytcaption.domain.media.pacing import Pacing, PerSite, QuietHours, not_negative


class DownloadChecks(BaseSettings):
    """The part of Settings that checks and reads these fields; Settings has them."""

    if TYPE_CHECKING:
        proxies: SecretStr | None
        bulk_pause_s: str
        bulk_pause_jitter: float
        bulk_bytes_per_day: str
        lists_per_minute: str
        quiet_hours: str
        pace_time_zone: str

    @field_validator("cookies_from_browser", check_fields=False)
    @classmethod
    def _is_browser(cls, value: str | None) -> str | None:
        if value:
            BrowserProfile.parse(value)
        return value

    @field_validator("proxies", check_fields=False)
    @classmethod
    def _are_proxies(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            Upstream.parse_all(value.get_secret_value())
        return value

    @field_validator("source_address", check_fields=False)
    @classmethod
    def _is_address(cls, value: str | None) -> str | None:
        if value:
            ipaddress.ip_address(value)
        return value

    @field_validator("user_agent", check_fields=False)
    @classmethod
    def _is_header(cls, value: str | None) -> str | None:
        if value and not re.fullmatch(r"[\x20-\x7e]{1,500}", value):
            raise ValueError("write one line of ASCII, 500 characters at most")
        return value

    @field_validator("youtube_clients", check_fields=False)
    @classmethod
    def _are_clients(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            if not re.fullmatch(r"-?[a-z][a-z0-9_]*", name):
                raise ValueError(f"'{name}' is not a player client; write default,mweb")
        return value

    @field_validator("po_token_provider", check_fields=False)
    @classmethod
    def _is_package(cls, value: str | None) -> str | None:
        if value and not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?", value):
            raise ValueError("write a package's name: bgutil-ytdlp-pot-provider")
        return value

    @field_validator("po_token_url", check_fields=False)
    @classmethod
    def _is_server(cls, value: str | None) -> str | None:
        if value and not re.fullmatch(r"http://([\w.-]+|\[[\da-f:]+\])(:\d{1,5})?/?", value):
            raise ValueError("write http://127.0.0.1:4416")
        return value and value.rstrip("/")

    @field_validator("bulk_pause_s", "bulk_bytes_per_day", "lists_per_minute", check_fields=False)
    @classmethod
    def _are_numbers(cls, value: str) -> str:
        PerSite.parse(value, not_negative, 0.0)
        return value

    @field_validator("quiet_hours", check_fields=False)
    @classmethod
    def _are_hours(cls, value: str) -> str:
        PerSite.parse(value, QuietHours.parse, None)
        return value

    @field_validator("pace_time_zone", check_fields=False)
    @classmethod
    def _is_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ValueError, OSError, ZoneInfoNotFoundError):
            raise ValueError(f"there is no time zone '{value}'; write Europe/Berlin") from None
        return value

    @cached_property
    def upstreams(self) -> tuple[Upstream, ...]:
        """Proxies that downloads go out through."""
        return Upstream.parse_all(self.proxies.get_secret_value()) if self.proxies else ()

    @cached_property
    def pacing(self) -> Pacing:
        """How gently bulk work treats each site."""
        return Pacing(
            pause_s=PerSite.parse(self.bulk_pause_s, not_negative, 0.0),
            jitter=self.bulk_pause_jitter,
            quiet_hours=PerSite.parse(self.quiet_hours, QuietHours.parse, None),
            bytes_per_day=PerSite.parse(self.bulk_bytes_per_day, not_negative, 0.0),
            lists_per_minute=PerSite.parse(self.lists_per_minute, not_negative, 0.0),
            zone=ZoneInfo(self.pace_time_zone),
            proxies=tuple(each.name for each in self.upstreams),
        )
