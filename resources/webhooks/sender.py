"""One attempt at a delivery: an HTTP request to an untrusted server, and its outcome."""

import asyncio
import logging
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import metadata
from typing import Self

import httpx

from resources.network.guarded_client import guarded_client
from resources.webhooks.message import DeliveryRequest
from resources.webhooks.outbox import Attempt, Outcome
from ytcaption.domain.errors import BlockedAddress
from ytcaption.domain.retry_after import retry_after_s

LIMIT_S = 15.0
"""Longest attempt, the lookup of the host included (docs/adr/security-rules.md#rule-25)."""

MAX_RESPONSE_BYTES = 64 * 1024
KEPT_BYTES = 4 * 1024
"""Most bytes of a response's body that are read and stored."""

logger = logging.getLogger(__name__)

USER_AGENT = f"ytcaption/{metadata.version('ytcaption')}"


class Sender:
    """Sends requests; an async context manager."""

    def __init__(self, allowed_networks: Sequence[str], limit_s: float = LIMIT_S) -> None:
        self._limit_s = limit_s
        self._client = guarded_client(
            allowed_networks=allowed_networks, max_bytes=MAX_RESPONSE_BYTES, timeout_s=limit_s
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def send(self, url: str, request: DeliveryRequest) -> Attempt:
        """Send a request and return the outcome. It raises only if it is canceled."""
        began = time.monotonic()
        try:
            async with asyncio.timeout(self._limit_s):
                return await self._exchange(url, request, began)
        except (TimeoutError, httpx.TimeoutException):
            return Attempt("timeout", time.monotonic() - began)
        except BlockedAddress as error:
            return Attempt("blocked_address", time.monotonic() - began, answer=error.message)
        except (httpx.ConnectError, httpx.ReadError, httpx.WriteError, OSError):
            return Attempt("unreachable", time.monotonic() - began)
        except (httpx.HTTPError, httpx.InvalidURL, ValueError):
            return Attempt("bad_answer", time.monotonic() - began)
        except Exception:  # an attempt that is not recorded would be repeated for ever
            logger.exception("a delivery's answer could not be handled")
            return Attempt("bad_answer", time.monotonic() - began)

    async def _exchange(self, url: str, request: DeliveryRequest, began: float) -> Attempt:
        headers = request.headers(datetime.now(UTC)) | {
            "user-agent": USER_AGENT,
            "accept-encoding": "identity",  # the body is stored as it is sent, not unpacked
        }
        sending = self._client.stream("POST", url, content=request.body, headers=headers)
        async with sending as response:
            status = response.status_code
            wait_s = retry_after_s(response.headers.get("retry-after"), datetime.now(UTC))
            try:
                text = (await _beginning(response)).decode("utf-8", "replace")
            except httpx.HTTPError:  # the status is enough
                text = ""
        took_s = time.monotonic() - began
        return Attempt(outcome_of(status), took_s, status, text, wait_s)


def outcome_of(status: int) -> Outcome:
    """Return the outcome that a response's status means."""
    if 200 <= status < 300:
        return "delivered"
    if 300 <= status < 400:
        return "redirected"
    if status == 410:
        return "gone"
    return "server_error" if status >= 500 else "refused"


async def _beginning(response: httpx.Response) -> bytes:
    kept = bytearray()
    async for block in response.aiter_raw():
        kept += block
        if len(kept) >= KEPT_BYTES:
            break
    return bytes(kept[:KEPT_BYTES])
