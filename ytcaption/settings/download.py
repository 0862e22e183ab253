"""What may be downloaded, and the route that downloads take out of this machine."""

import ipaddress
import re
from functools import cached_property
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field, SecretStr, field_validator

from ytcaption.domain.media.egress import BrowserProfile, Upstream
from ytcaption.settings.group import SettingsGroup, check_networks, split_list

DEFAULT_SITES = (
    "youtube", "vimeo", "dailymotion", "twitch", "soundcloud", "ted", "archive.org", "bbc", "arte",
    "ard", "zdf", "tagesschau", "npr", "pbs", "cspan", "cnn", "reuters", "bloomberg", "aljazeera",
    "dw", "france.tv", "rai", "rtve", "svt", "nrk", "dr", "yle", "nhk", "tiktok",
    "instagram", "facebook", "twitter", "reddit",
    "bilibili", "niconico", "rumble", "odysee", "peertube", "mixcloud", "bandcamp", "audiomack",
    "podcasts.apple", "spreaker", "podbean", "acast", "libsyn", "simplecast", "streamable",
    "loom", "wistia", "khanacademy", "coursera", "media.ccc.de", "linkedin",
    "slideslive", "videolectures",
)  # fmt: skip


class DownloadSettings(SettingsGroup):
    """Sites, limits, cookies, proxies and yt-dlp's options."""

    sites: Annotated[tuple[str, ...], BeforeValidator(split_list)] = Field(
        DEFAULT_SITES,
        description="Sites that yt-dlp may be used for, comma-separated: names of extractors or "
        "hosts; `any` allows all, for a machine of your own. Other URLs must be media files.",
    )
    allowed_networks: Annotated[tuple[str, ...], BeforeValidator(split_list)] = Field(
        (),
        description="Private networks that media may come from and webhooks may be sent to, as "
        "comma-separated CIDRs (`127.0.0.0/8`). All other private addresses are refused.",
    )
    max_download_bytes: int = Field(4 * 1024**3, gt=0, description="Largest download, in bytes.")
    max_audio_s: float = Field(12 * 3600, gt=0, description="Longest audio, in seconds.")
    download_timeout_s: float = Field(3600, gt=0, description="Longest download, in seconds.")
    decode_memory_bytes: int = Field(
        2 * 1024**3, gt=0, description="Memory limit of the audio decoder's process."
    )
    cookies_file: Path | None = Field(
        None,
        description="Cookies of an account in the Netscape format that browser extensions export, "
        "readable by you alone (mode 0600). Each cookie is sent to its own site only.",
    )
    cookies_from_browser: str | None = Field(
        None,
        description="Cookies read from a browser of this machine at each download: "
        "`firefox`, or `BROWSER[+KEYRING][:PROFILE][::CONTAINER]`.",
    )
    proxies: SecretStr | None = Field(
        None,
        description="Proxies that downloads use in rotation, comma-separated "
        "(`http://user:password@host:3128,socks5://host:1080`).",
    )
    source_address: str | None = Field(
        None, description="The address of this machine that downloads are sent from."
    )
    user_agent: str | None = Field(
        None, description="User-Agent of downloads. Unset: the browser User-Agent of yt-dlp."
    )
    youtube_clients: Annotated[tuple[str, ...], BeforeValidator(split_list)] = Field(
        (),
        description="Player clients that yt-dlp uses with YouTube, comma-separated "
        "(`default,mweb`). Unset: yt-dlp's choice.",
    )
    po_token_provider: str | None = Field(
        None,
        description="An installed package that provides YouTube's PO tokens "
        "(`bgutil-ytdlp-pot-provider`): the one yt-dlp plugin that is loaded.",
    )
    po_token_url: str | None = Field(
        None, description="The PO token provider's server (`http://127.0.0.1:4416`)."
    )

    @field_validator("allowed_networks")
    @classmethod
    def _check_networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return check_networks(value)

    @field_validator("cookies_from_browser")
    @classmethod
    def _check_browser(cls, value: str | None) -> str | None:
        if value:
            BrowserProfile.parse(value)
        return value

    @field_validator("proxies")
    @classmethod
    def _check_proxies(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            Upstream.parse_all(value.get_secret_value())
        return value

    @field_validator("source_address")
    @classmethod
    def _check_address(cls, value: str | None) -> str | None:
        if value:
            ipaddress.ip_address(value)
        return value

    @field_validator("user_agent")
    @classmethod
    def _check_header(cls, value: str | None) -> str | None:
        if value and not re.fullmatch(r"[\x20-\x7e]{1,500}", value):
            raise ValueError("write one line of ASCII, 500 characters at most")
        return value

    @field_validator("youtube_clients")
    @classmethod
    def _check_clients(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            if not re.fullmatch(r"-?[a-z][a-z0-9_]*", name):
                raise ValueError(f"'{name}' is not a player client; write default,mweb")
        return value

    @field_validator("po_token_provider")
    @classmethod
    def _check_package(cls, value: str | None) -> str | None:
        if value and not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?", value):
            raise ValueError("write a package's name: bgutil-ytdlp-pot-provider")
        return value

    @field_validator("po_token_url")
    @classmethod
    def _check_server(cls, value: str | None) -> str | None:
        if value and not re.fullmatch(r"http://([\w.-]+|\[[\da-f:]+\])(:\d{1,5})?/?", value):
            raise ValueError("write http://127.0.0.1:4416")
        return value and value.rstrip("/")

    @cached_property
    def upstreams(self) -> tuple[Upstream, ...]:
        """The proxies, parsed."""
        return Upstream.parse_all(self.proxies.get_secret_value()) if self.proxies else ()
