"""What a download or listing goes out with, as the operator has set it, and what came of it."""

import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from resources.download.cookies import check_cookies, cookies_for
from resources.download.po_token import check_provider
from resources.network.egress_proxy import Traffic
from resources.network.proxy_health import record_failed, record_refused, record_worked
from resources.postgres.connection import Postgres
from resources.sites.domains import site_of
from resources.sites.pacing import check_pacing, record_bytes
from ytcaption.domain.channels.channel import ChannelSource
from ytcaption.domain.errors import SetupError, SourceBlocked, StorageError
from ytcaption.domain.media.egress import Upstream
from ytcaption.domain.media.media import MediaSource
from ytcaption.settings import Settings


@dataclass(frozen=True)
class EgressRoute:
    """Of one download or listing.

    Attributes:
        upstreams: proxies, the first of which that works is used.
        cookies: of the source's site alone, as a Netscape file.
        clients: yt-dlp's names of YouTube's players; empty: as it chooses.
        po_token_provider: package of the one plugin that is loaded.
        traffic: filled by it.
    """

    upstreams: tuple[Upstream, ...] = ()
    source_address: str | None = None
    cookies: str | None = field(default=None, repr=False)
    user_agent: str | None = None
    clients: tuple[str, ...] = ()
    po_token_provider: str | None = None
    po_token_url: str | None = None
    traffic: Traffic = field(default_factory=Traffic)

    @classmethod
    def of(
        cls, settings: Settings, source: MediaSource | ChannelSource, proxies: Sequence[str] = ()
    ) -> "EgressRoute":
        """Of an installation.

        Args:
            proxies: names of those that may be used now, in order.

        Raises:
            SetupError: the settings name cookies that cannot be had.
        """
        known = {each.name: each for each in settings.upstreams}
        is_youtube = (source.extractor or "").startswith("Youtube")
        return cls(
            upstreams=tuple(known[name] for name in proxies),
            source_address=settings.source_address or None,
            cookies=cookies_for(settings, source.url or ""),
            user_agent=settings.user_agent or None,
            clients=settings.youtube_clients if is_youtube else (),
            po_token_provider=settings.po_token_provider if is_youtube else None,
            po_token_url=settings.po_token_url if is_youtube else None,
        )

    @property
    def proxy_options(self) -> dict[str, Any]:
        """Arguments of the EgressProxy."""
        return {
            "upstreams": self.upstreams,
            "source_address": self.source_address,
            "open_targets": _target(self.po_token_url) if self.po_token_provider else (),
            "traffic": self.traffic,
        }

    @property
    def order(self) -> dict[str, Any]:
        """Fields of the job, as `ytdlp_options.GoingOut` names them."""
        return {
            "cookies": self.cookies,
            "user_agent": self.user_agent,
            "clients": self.clients,
            "po_token_provider": self.po_token_provider,
            "po_token_url": self.po_token_url,
        }


def check_egress_settings(settings: Settings) -> None:
    """Nothing for settings that downloads can go out with.

    Raises:
        SetupError: cookies cannot be had, a package or player is unknown, a site goes by another
            name, or no connection can come from the source address.
    """
    check_cookies(settings)
    check_provider(settings.po_token_provider)
    check_pacing(settings)
    _check_clients(settings.youtube_clients)
    if settings.source_address:
        _check_source_address(settings.source_address)


@contextmanager
def egress_route(
    settings: Settings,
    postgres: Postgres,
    source: MediaSource | ChannelSource,
    proxies: Sequence[str],
) -> Iterator[EgressRoute]:
    """What a download or listing goes out with. What it took, and how its proxies did, is noted at
    its end.

    Raises:
        SetupError: the settings name cookies that cannot be had.
    """
    way = EgressRoute.of(settings, source, proxies)
    is_refused = False
    try:
        yield way
    except SourceBlocked:
        is_refused = True
        raise
    finally:
        with suppress(StorageError):  # of a database that is away more is heard elsewhere
            _note(settings, postgres, source, way, is_refused)


def _note(
    settings: Settings,
    postgres: Postgres,
    source: MediaSource | ChannelSource,
    way: EgressRoute,
    is_refused: bool,
) -> None:
    site = site_of(source.url or "")
    if way.traffic.bytes_received:
        record_bytes(postgres, site, settings.pacing, way.traffic.bytes_received)
    use = way.traffic.upstream
    if use.works is not None and use.works not in use.errors:
        record_worked(postgres, use.works)
        if is_refused:
            record_refused(postgres, use.works, settings.pacing.proxies, site)
    for name, error in use.errors.items():
        record_failed(postgres, name, error)


def _check_clients(names: Sequence[str]) -> None:
    if not names:
        return
    from yt_dlp.extractor.youtube._base import INNERTUBE_CLIENTS

    known = {name for name in INNERTUBE_CLIENTS if not name.startswith("_")} | {"default", "all"}
    if unknown := [name for name in names if name.removeprefix("-") not in known]:
        raise SetupError(
            f"YTCAPTION_YOUTUBE_CLIENTS names players that yt-dlp does not know: "
            f"{', '.join(unknown)}. It knows {', '.join(sorted(known))}."
        )


def _check_source_address(address: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as connection:
            connection.bind((address, 0))
    except OSError as error:
        raise SetupError(
            f"YTCAPTION_SOURCE_ADDRESS: {address} is no address of this machine ({error.strerror})."
        ) from None


def _target(url: str | None) -> tuple[tuple[str, int], ...]:
    if url is None:
        return ()
    parts = urlsplit(url)
    return ((parts.hostname or "", parts.port or 80),)
