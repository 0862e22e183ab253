"""How many requests a minute somebody may send; told in RateLimit and RateLimit-Policy
(draft-ietf-httpapi-ratelimit-headers-11)."""

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from limits.errors import StorageError

from ytcaption.settings import Settings

if TYPE_CHECKING:
    from api.auth.redis_counters import SharedCounts

logger = logging.getLogger(__name__)

WINDOW_S = 60
POLICY = "requests"

AWAY_S = 5.0
"""For which a Redis that did not answer is left alone."""

TOLD_EVERY_S = 60.0


@dataclass(frozen=True)
class Allowance:
    """What one caller has left.

    Attributes:
        allowed: whether this request may pass.
        limit: requests a minute.
        reset_s: until some of the limit is free again.
    """

    allowed: bool
    limit: int
    remaining: int
    reset_s: int

    @property
    def headers(self) -> dict[str, str]:
        """As structured fields (RFC 9651)."""
        return {
            "RateLimit-Policy": f'"{POLICY}";q={self.limit};w={WINDOW_S}',
            "RateLimit": f'"{POLICY}";r={self.remaining};t={self.reset_s}',
        }


class RateLimiter:
    """Counts requests, over a sliding minute, in Redis or Valkey or else in this process.

    A Redis that is away takes nothing down: each process counts for itself until it is back.

    Args:
        url: `redis://...`; None: in memory.

    Raises:
        SetupError: no such URL.
    """

    def __init__(self, url: str | None) -> None:
        self._local = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._redis = None if url is None else _shared_counts(url)
        self._shared = self._redis and SlidingWindowCounterRateLimiter(self._redis.storage)
        self._away_until = self._told_at = float("-inf")

    async def hit(self, who: str, per_minute: int) -> Allowance:
        """Counts one request of somebody's."""
        return await self._ask(who, per_minute, count=True)

    async def peek(self, who: str, per_minute: int) -> Allowance:
        """What they have left; counts nothing."""
        return await self._ask(who, per_minute, count=False)

    def probes(self) -> dict[str, Callable[[], str | None]]:
        """For readiness: whether Redis answers; nothing where none is set."""
        return {} if self._redis is None else {"rate_limits": self._redis.problem}

    async def close(self) -> None:
        """Ends the connections."""
        if self._redis is not None:
            await self._redis.close()

    async def _ask(self, who: str, per_minute: int, *, count: bool) -> Allowance:
        if self._shared is not None and time.monotonic() >= self._away_until:
            try:
                return await _allowance(self._shared, who, per_minute, count=count)
            except StorageError as error:
                self._is_away(error)
        return await _allowance(self._local, who, per_minute, count=count)

    def _is_away(self, error: StorageError) -> None:
        now = time.monotonic()
        self._away_until = now + AWAY_S
        if now - self._told_at >= TOLD_EVERY_S:
            self._told_at = now
            # Only its kind: the message may quote the URL.
            kind = type(error.storage_error).__name__
            logger.warning("rate limits are not shared: Redis does not answer (%s)", kind)


def rate_limiter(settings: Settings) -> RateLimiter:
    """As the settings say.

    Raises:
        SetupError: the URL is no Redis'.
    """
    url = settings.rate_limit_url
    return RateLimiter(None if url is None else url.get_secret_value())


async def _allowance(
    limiter: SlidingWindowCounterRateLimiter, who: str, per_minute: int, *, count: bool
) -> Allowance:
    item = RateLimitItemPerMinute(per_minute)
    allowed = await (limiter.hit(item, who) if count else limiter.test(item, who))
    stats = await limiter.get_window_stats(item, who)
    reset_s = max(0, math.ceil(stats.reset_time - time.time()))
    return Allowance(allowed, per_minute, stats.remaining, reset_s)


def _shared_counts(url: str) -> "SharedCounts":
    from api.auth.redis_counters import SharedCounts

    return SharedCounts(url)
