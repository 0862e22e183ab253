"""One attempt at a delivery: an HTTP request to a stranger's server, and what came of it."""

import asyncio
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
"""For all of it, the look-up of the host included (rule 25)."""

MAX_ANSWER_BYTES = 64 * 1024
KEPT_BYTES = 4 * 1024
"""Of an answer's body; no more is read."""

USER_AGENT = f"ytcaption/{metadata.version('ytcaption')}"


class Sender:
    """Sends letters; an async context manager."""

    def __init__(self, allowed_networks: Sequence[str], limit_s: float = LIMIT_S) -> None:
        self._limit_s = limit_s
        self._client = guarded_client(
            allowed_networks=allowed_networks, max_bytes=MAX_ANSWER_BYTES, timeout_s=limit_s
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def send(self, url: str, letter: DeliveryRequest) -> Attempt:
        """What came of it. Never raises, except when it is canceled."""
        began = time.monotonic()
        try:
            async with asyncio.timeout(self._limit_s):
                return await self._exchange(url, letter, began)
        except (TimeoutError, httpx.TimeoutException):
            return Attempt("timeout", time.monotonic() - began)
        except BlockedAddress as error:
            return Attempt("blocked_address", time.monotonic() - began, answer=error.message)
        except (httpx.ConnectError, httpx.ReadError, httpx.WriteError, OSError):
            return Attempt("unreachable", time.monotonic() - began)
        except (httpx.HTTPError, httpx.InvalidURL, ValueError):
            return Attempt("bad_answer", time.monotonic() - began)

    async def _exchange(self, url: str, letter: DeliveryRequest, began: float) -> Attempt:
        headers = letter.headers(datetime.now(UTC)) | {
            "user-agent": USER_AGENT,
            "accept-encoding": "identity",  # an answer is kept as it comes, not unpacked
        }
        async with self._client.stream("POST", url, content=letter.body, headers=headers) as answer:
            status = answer.status_code
            wait_s = retry_after_s(answer.headers.get("retry-after"), datetime.now(UTC))
            try:
                text = (await _beginning(answer)).decode("utf-8", "replace")
            except httpx.HTTPError:  # the status has said all that counts
                text = ""
        took_s = time.monotonic() - began
        return Attempt(outcome_of(status), took_s, status, text, wait_s)


def outcome_of(status: int) -> Outcome:
    """What an answer's status means to a delivery."""
    if 200 <= status < 300:
        return "delivered"
    if 300 <= status < 400:
        return "redirected"
    if status == 410:
        return "gone"
    return "server_error" if status >= 500 else "refused"


async def _beginning(answer: httpx.Response) -> bytes:
    kept = bytearray()
    async for block in answer.aiter_raw():
        kept += block
        if len(kept) >= KEPT_BYTES:
            break
    return bytes(kept[:KEPT_BYTES])
