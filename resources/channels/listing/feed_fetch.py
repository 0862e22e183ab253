"""Feeds and pages by URL, requested only if changed, through the egress proxy."""

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import httpx

from resources.download.egress import EgressRoute
from resources.download.protocol import NO_IDENTITY
from resources.download.ytdlp_process import known_better
from resources.network.egress_proxy import Traffic
from resources.network.guarded_client import client_through
from resources.network.http_errors import MAX_RETRY_AFTER_S, refusal_of_status
from resources.sites.resolve import check_target
from ytcaption.domain.errors import (
    InvalidUrl,
    MediaTooLarge,
    SourceError,
    SourceUnavailable,
    YtcaptionError,
)
from ytcaption.domain.media.urls import joined_url, parse_url
from ytcaption.domain.retry_after import retry_after_s

MAX_REDIRECTS = 8
_HEADER_BYTES = 256 * 1024
_KNOWN_ENCODINGS = ("", "identity", "gzip", "deflate")
_MEDIA_TYPES = ("audio/", "video/", "application/vnd.apple.mpegurl", "application/x-mpegurl")


@dataclass(frozen=True)
class Fetched:
    """A server's response.

    Attributes:
        body: None: unchanged since `state`.
        url: after redirects.
        state: for the next request, which then detects that nothing has changed: `etag`,
            `last_modified` and `sha256` of a URL.
        is_media: the server says that it is audio, video or a stream.
    """

    body: bytes | None
    url: str
    state: Mapping[str, Any]
    is_media: bool = False


def fetch_feed(
    url: str,
    state: Mapping[str, Any],
    *,
    allowed_networks: Sequence[str],
    max_bytes: int,
    timeout_s: float,
    idle_timeout_s: float,
    route: EgressRoute,
) -> Fetched:
    """Fetch a feed or page. Not for a thread that runs an event loop.

    Args:
        state: of the last response, or empty.
        allowed_networks: private CIDRs that may be reached; others are refused at each redirect.
        max_bytes: maximum size of the body, both compressed and decompressed.
        timeout_s: time limit of the whole fetch.
        idle_timeout_s: longest time without data from the server.
        route: proxies and source address to use, without its identity; its traffic is increased.

    Raises:
        SourceError: not reached, refused or too slow; the kinds are those of downloads.
        InputError: a redirect to a forbidden address.
        ProxyUnavailable: none of the operator's proxies works.
    """
    request = _Request(url, state, max_bytes)
    traffic = Traffic(upstream=route.traffic.upstream)
    anonymous = replace(route, identity=NO_IDENTITY, traffic=traffic)
    with anonymous.proxy(
        allowed_networks=allowed_networks,
        max_bytes=max_bytes + _HEADER_BYTES,
        connect_timeout_s=idle_timeout_s,
        idle_timeout_s=idle_timeout_s,
    ) as proxy:

        async def bounded() -> Fetched:
            async with (
                asyncio.timeout(timeout_s),
                client_through(proxy, timeout_s=idle_timeout_s) as client,
            ):
                return await _follow(client, request, allowed_networks)

        try:
            return asyncio.run(bounded())
        except (TimeoutError, httpx.HTTPError, httpx.InvalidURL, SourceError) as error:
            # The proxy's own refusals look like responses of the server.
            if traffic.too_many_bytes:
                raise _too_large(max_bytes) from None
            raise known_better(_error_of(error), traffic) from None
        finally:
            route.traffic.bytes_received += traffic.bytes_received


def _error_of(error: Exception) -> YtcaptionError:
    if isinstance(error, SourceError):
        return error
    if isinstance(error, TimeoutError):
        return SourceUnavailable("The server took longer than allowed to send the list.")
    if isinstance(error, httpx.InvalidURL):
        return SourceError("The server redirects to a URL that cannot be opened.")
    if isinstance(error, httpx.DecodingError):
        return SourceError("The server's response has an encoding that cannot be read.")
    return SourceUnavailable("The connection to the server failed or was interrupted.")


@dataclass(frozen=True)
class _Request:
    url: str
    state: Mapping[str, Any]
    max_bytes: int


async def _follow(
    client: httpx.AsyncClient,  # noqa: TID251 - it goes through the egress proxy
    request: _Request,
    allowed_networks: Sequence[str],
) -> Fetched:
    url = request.url
    for _ in range(MAX_REDIRECTS + 1):
        try:
            check_target(parse_url(url), allowed_networks)
        except InvalidUrl:
            raise SourceError(
                "The server redirects to a URL that is neither http nor https."
            ) from None
        async with client.stream("GET", url, headers=_headers(url, request.state)) as response:
            if response.has_redirect_location:
                target = joined_url(url, response.headers["Location"])
                if target is None:
                    raise SourceError("The server redirects to a URL whose host cannot be read.")
                url = target
                continue
            if response.status_code == 304:
                return Fetched(None, url, request.state)
            if response.status_code != 200:
                raise _refused(response)
            return await _read(response, url, request.state, request.max_bytes)
    raise SourceError("The server redirects in a circle.")


def _headers(url: str, state: Mapping[str, Any]) -> dict[str, str]:
    headers = {
        "Accept": "application/rss+xml, application/atom+xml, application/xml;q=0.9, */*;q=0.5",
        "Accept-Encoding": "gzip",
        "User-Agent": "ytcaption (podcast client)",
    }
    if state.get("of") != url:
        return headers
    if state.get("etag"):
        headers["If-None-Match"] = str(state["etag"])
    if state.get("last_modified"):
        headers["If-Modified-Since"] = str(state["last_modified"])
    return headers


async def _read(
    response: httpx.Response, url: str, state: Mapping[str, Any], max_bytes: int
) -> Fetched:
    content_type = response.headers.get("Content-Type", "").lower()
    if content_type.startswith(_MEDIA_TYPES):
        return Fetched(b"", url, {}, is_media=True)
    # Other encodings can expand a few bytes to gigabytes in one step.
    if response.headers.get("Content-Encoding", "").strip().lower() not in _KNOWN_ENCODINGS:
        raise SourceError("The server's response has an encoding that cannot be read.")
    body = bytearray()
    async for piece in response.aiter_bytes():
        body += piece
        if len(body) > max_bytes:
            raise _too_large(max_bytes)
    validators = {
        "of": url,
        # Many servers do not support conditional requests.
        "sha256": hashlib.sha256(body).hexdigest(),
        "etag": response.headers.get("ETag"),
        "last_modified": response.headers.get("Last-Modified"),
    }
    kept = {name: value for name, value in validators.items() if value and len(value) <= 2048}
    unchanged = (state.get("of"), state.get("sha256")) == (url, kept["sha256"])
    return Fetched(None if unchanged else bytes(body), url, kept)


def _refused(response: httpx.Response) -> Exception:
    error = refusal_of_status(response.status_code, "list", "")
    wait_s = retry_after_s(response.headers.get("Retry-After"), datetime.now(UTC))
    error.retry_after_s = None if wait_s is None else min(wait_s, MAX_RETRY_AFTER_S)
    return error


def _too_large(max_bytes: int) -> MediaTooLarge:
    return MediaTooLarge(
        f"The list is larger than {max_bytes:,} bytes, the limit of this installation."
    )
