"""Egress: how downloads and listings leave this machine.

The parts, in the order of one download:

- `ytcaption.domain.media.egress` parses the operator's proxies and browser profile.
- `resources.network.proxy_health.available_proxies` chooses the proxies that may be used now.
- `EgressRoute` combines these proxies with the source address and the client's identity.
- `resources.network.egress_proxy` checks every connection, and opens it directly or through one of
  the proxies (`resources.network.upstream`).
- `egress_route` records the bytes of the site and how the proxies did.
"""

import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from resources.download.cookies import check_cookies, cookies_for
from resources.download.po_token import check_provider
from resources.download.protocol import NO_IDENTITY, ClientIdentity
from resources.network.egress_proxy import EgressProxy, Traffic
from resources.network.proxy_health import record_failed, record_refused, record_worked
from resources.postgres.connection import Postgres
from resources.sites.domains import site_of
from resources.sites.pacing import check_pacing, record_bytes
from ytcaption.domain.channels.channel import ChannelSource
from ytcaption.domain.errors import SetupError, SourceBlocked, StorageError
from ytcaption.domain.media.egress import Upstream
from ytcaption.domain.media.media import MediaSource
from ytcaption.settings.settings import Settings


@dataclass(frozen=True)
class EgressRoute:
    """How one download or listing leaves this machine.

    Attributes:
        upstreams: proxies, of which the first that works is used; empty: a direct connection.
        source_address: address of this machine that connections come from.
        identity: what yt-dlp shows the site.
        traffic: filled by `proxy`.
    """

    upstreams: tuple[Upstream, ...] = ()
    source_address: str | None = None
    identity: ClientIdentity = NO_IDENTITY
    traffic: Traffic = field(default_factory=Traffic)

    @classmethod
    def of(
        cls, settings: Settings, source: MediaSource | ChannelSource, proxies: Sequence[str] = ()
    ) -> "EgressRoute":
        """Return the route to a source.

        Args:
            proxies: names of those that may be used now, in order.

        Raises:
            SetupError: the settings name cookies that cannot be read.
        """
        by_name = {each.name: each for each in settings.download.upstreams}
        is_youtube = (source.extractor or "").startswith("Youtube")
        return cls(
            upstreams=tuple(by_name[name] for name in proxies),
            source_address=settings.download.source_address or None,
            identity=ClientIdentity(
                cookies=cookies_for(settings, source.url or ""),
                user_agent=settings.download.user_agent or None,
                clients=settings.download.youtube_clients if is_youtube else (),
                po_token_provider=settings.download.po_token_provider if is_youtube else None,
                po_token_url=settings.download.po_token_url if is_youtube else None,
            ),
        )

    @property
    def open_targets(self) -> tuple[tuple[str, int], ...]:
        """Host and port of the operator's PO token server, whose address is not checked."""
        url = self.identity.po_token_url
        if url is None or not self.identity.po_token_provider:
            return ()
        parts = urlsplit(url)
        return ((parts.hostname or "", parts.port or 80),)

    def proxy(
        self,
        *,
        allowed_networks: Sequence[str],
        max_bytes: int,
        idle_timeout_s: float,
        connect_timeout_s: float = 15,
    ) -> EgressProxy:
        """Return the egress proxy of this route. Arguments: see `EgressProxy`."""
        return EgressProxy(
            allowed_networks=allowed_networks,
            max_bytes=max_bytes,
            connect_timeout_s=connect_timeout_s,
            idle_timeout_s=idle_timeout_s,
            upstreams=self.upstreams,
            source_address=self.source_address,
            open_targets=self.open_targets,
            traffic=self.traffic,
        )


@contextmanager
def egress_route(
    settings: Settings,
    postgres: Postgres,
    source: MediaSource | ChannelSource,
    proxies: Sequence[str],
) -> Iterator[EgressRoute]:
    """Yield the route to a source; at the end record its traffic and how its proxies did.

    Raises:
        SetupError: the settings name cookies that cannot be read.
    """
    route = EgressRoute.of(settings, source, proxies)
    is_refused = False
    try:
        yield route
    except SourceBlocked:
        is_refused = True
        raise
    finally:
        with suppress(StorageError):  # the run itself reports a database that does not answer
            _record_outcome(settings, postgres, source, route, is_refused)


def _record_outcome(
    settings: Settings,
    postgres: Postgres,
    source: MediaSource | ChannelSource,
    route: EgressRoute,
    is_refused: bool,
) -> None:
    site = site_of(source.url or "")
    if route.traffic.bytes_received:
        record_bytes(postgres, site, settings.pacing, route.traffic.bytes_received)
    use = route.traffic.upstream
    if use.works is not None and use.works not in use.errors:
        record_worked(postgres, use.works)
        if is_refused:
            record_refused(postgres, use.works, settings.pacing.proxies, site)
    for name, error in use.errors.items():
        record_failed(postgres, name, error)


def check_egress_settings(settings: Settings) -> None:
    """Check that downloads can use the settings of proxies, cookies, players and pacing.

    Raises:
        SetupError: cookies cannot be read, a package or player is unknown, a site is not named by
            its first domain, or no connection can come from the source address.
    """
    check_cookies(settings)
    check_provider(settings.download.po_token_provider)
    check_pacing(settings)
    _check_clients(settings.download.youtube_clients)
    if settings.download.source_address:
        _check_source_address(settings.download.source_address)


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
