"""A feed or page by its URL, asked for only if it has changed, through the egress proxy."""

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urljoin

import httpx

from resources.download.egress import EgressRoute
from resources.download.ytdlp_process import known_better
from resources.network.egress_proxy import EgressProxy, Traffic
from resources.network.guarded_client import client_through
from resources.network.http_errors import LONGEST_WAIT_S, refusal_of_status
from resources.sites.resolve import check_target
from ytcaption.domain.errors import (
    InvalidUrl,
    MediaTooLarge,
    SourceError,
    SourceUnavailable,
    YtcaptionError,
)
from ytcaption.domain.media.urls import parse_url
from ytcaption.domain.retry_after import retry_after_s

MAX_REDIRECTS = 8
_HEAD_BYTES = 256 * 1024
_UNPACKED = ("", "identity", "gzip", "deflate")
_MEDIA = ("audio/", "video/", "application/vnd.apple.mpegurl", "application/x-mpegurl")


@dataclass(frozen=True)
class Fetched:
    """What a server gave.

    Attributes:
        body: None: unchanged since `state`.
        url: where the last redirect led.
        state: by which the next look is told that nothing has changed: `etag`, `last_modified` and
            `sha256` of a URL.
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
    silence_s: float,
    way: EgressRoute,
) -> Fetched:
    """A feed or page. Not for a thread that runs an event loop.

    Args:
        state: of the last answer, or empty.
        allowed_networks: private CIDRs that may be reached; all others are refused, at each hop.
        max_bytes: of the body, packed and unpacked.
        timeout_s: of all of it.
        silence_s: of a server between two pieces.
        way: proxies and source address are used, and what came is added to its traffic.

    Raises:
        SourceError: not reached, refused, too long; the kinds are those of downloads.
        InputError: a redirect that leads where it may not.
        ProxyUnavailable: none of the operator's proxies works.
    """
    wanted = _Wanted(url, state, max_bytes)
    traffic = Traffic(upstream=way.traffic.upstream)
    options = {**way.proxy_options, "open_targets": (), "traffic": traffic}
    with EgressProxy(
        allowed_networks=allowed_networks,
        max_bytes=max_bytes + _HEAD_BYTES,
        connect_timeout_s=silence_s,
        idle_timeout_s=silence_s,
        **options,
    ) as proxy:

        async def bounded() -> Fetched:
            async with (
                asyncio.timeout(timeout_s),
                client_through(proxy, timeout_s=silence_s) as client,
            ):
                return await _follow(client, wanted, allowed_networks)

        try:
            return asyncio.run(bounded())
        except (TimeoutError, httpx.HTTPError, SourceError) as error:
            # The proxy's own refusals look like answers.
            if traffic.too_many_bytes:
                raise _too_large(max_bytes) from None
            raise known_better(_error_of(error), traffic) from None
        finally:
            way.traffic.bytes_received += traffic.bytes_received


def _error_of(error: Exception) -> YtcaptionError:
    if isinstance(error, SourceError):
        return error
    if isinstance(error, TimeoutError):
        return SourceUnavailable("The server took longer than allowed to send the list.")
    if isinstance(error, httpx.DecodingError):
        return SourceError("The server's answer is packed in a way that cannot be read.")
    return SourceUnavailable("The connection to the server failed or broke off.")


@dataclass(frozen=True)
class _Wanted:
    url: str
    state: Mapping[str, Any]
    max_bytes: int


async def _follow(
    client: httpx.AsyncClient,  # noqa: TID251 - it goes through the egress proxy
    wanted: _Wanted,
    allowed_networks: Sequence[str],
) -> Fetched:
    url = wanted.url
    for _ in range(MAX_REDIRECTS + 1):
        try:
            check_target(parse_url(url), allowed_networks)
        except InvalidUrl:
            raise SourceError("The server redirects to what is no http or https URL.") from None
        async with client.stream("GET", url, headers=_headers(url, wanted.state)) as answer:
            if answer.has_redirect_location:
                url = urljoin(url, answer.headers["Location"])
                continue
            if answer.status_code == 304:
                return Fetched(None, url, wanted.state)
            if answer.status_code != 200:
                raise _refusal(answer)
            return await _read(answer, url, wanted.state, wanted.max_bytes)
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
    answer: httpx.Response, url: str, state: Mapping[str, Any], max_bytes: int
) -> Fetched:
    content_type = answer.headers.get("Content-Type", "").lower()
    if content_type.startswith(_MEDIA):
        return Fetched(b"", url, {}, is_media=True)
    # Others can unpack a few bytes to gigabytes in one step.
    if answer.headers.get("Content-Encoding", "").strip().lower() not in _UNPACKED:
        raise SourceError("The server's answer is packed in a way that cannot be read.")
    body = bytearray()
    async for piece in answer.aiter_bytes():
        body += piece
        if len(body) > max_bytes:
            raise _too_large(max_bytes)
    known = {
        "of": url,
        # Many servers know no conditions.
        "sha256": hashlib.sha256(body).hexdigest(),
        "etag": answer.headers.get("ETag"),
        "last_modified": answer.headers.get("Last-Modified"),
    }
    kept = {name: value for name, value in known.items() if value and len(value) <= 2048}
    unchanged = (state.get("of"), state.get("sha256")) == (url, kept["sha256"])
    return Fetched(None if unchanged else bytes(body), url, kept)


def _refusal(answer: httpx.Response) -> Exception:
    error = refusal_of_status(answer.status_code, "list", "")
    wait_s = retry_after_s(answer.headers.get("Retry-After"), datetime.now(UTC))
    error.retry_after_s = None if wait_s is None else min(wait_s, LONGEST_WAIT_S)
    return error


def _too_large(max_bytes: int) -> MediaTooLarge:
    return MediaTooLarge(
        f"The list has more than {max_bytes:,} bytes, the most that this installation takes."
    )
