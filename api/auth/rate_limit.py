"""Rate limits: requests a minute, reported in RateLimit and RateLimit-Policy
(draft-ietf-httpapi-ratelimit-headers-11)."""

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from limits.errors import StorageError

from resources.processes.clock_step import StepDetector
from ytcaption.settings.settings import Settings

if TYPE_CHECKING:
    from api.auth.redis_counters import RedisCounters

logger = logging.getLogger(__name__)

WINDOW_S = 60
POLICY = "requests"

REDIS_COOLDOWN_S = 5.0
"""How long Redis is skipped after it did not answer."""

WARN_EVERY_S = 60.0


@dataclass(frozen=True)
class Allowance:
    """What one caller may still send.

    Attributes:
        allowed: whether this request may pass.
        limit: requests a minute.
        reset_s: seconds until some of the limit is available again.
    """

    allowed: bool
    limit: int
    remaining: int
    reset_s: int

    @property
    def headers(self) -> dict[str, str]:
        """The headers, as structured fields (RFC 9651)."""
        return {
            "RateLimit-Policy": f'"{POLICY}";q={self.limit};w={WINDOW_S}',
            "RateLimit": f'"{POLICY}";r={self.remaining};t={self.reset_s}',
        }


class RateLimiter:
    """Counts requests over a sliding minute: in Redis or Valkey if configured, else in memory.

    If Redis does not answer, each process counts alone until it does.

    Args:
        url: `redis://...`; None: in memory.

    Raises:
        SetupError: the URL is not valid.
    """

    def __init__(self, url: str | None) -> None:
        self._local = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._clock = StepDetector()
        self._redis = None if url is None else _redis_counters(url)
        self._shared = self._redis and SlidingWindowCounterRateLimiter(self._redis.storage)
        self._retry_at = self._warned_at = float("-inf")

    async def hit(self, owner: str, per_minute: int) -> Allowance:
        """Count one request."""
        return await self._allowance(owner, per_minute, 1)

    async def hit_batch(self, owner: str, per_minute: int, number: int) -> Allowance:
        """Count the requests of a batch, all or none.

        A batch of more than half of the limit might never fit beside other requests: one a minute
        is allowed, and uses up what is left.
        """
        if number <= per_minute // 2:
            allowance = await self._allowance(owner, per_minute, number)
            lacking = 0 if allowance.allowed else number - allowance.remaining
            wait_s = math.ceil(WINDOW_S * lacking / per_minute)
            return replace(allowance, reset_s=max(allowance.reset_s, wait_s))
        large = await self._allowance(f"batch:{owner}", 1, 1)
        left = await self.peek(owner, per_minute)
        if not large.allowed:
            return replace(left, allowed=False, reset_s=large.reset_s)
        return replace(await self._allowance(owner, per_minute, left.remaining), allowed=True)

    async def peek(self, owner: str, per_minute: int) -> Allowance:
        """Return what is left, without counting."""
        return await self._allowance(owner, per_minute, 0)

    def probes(self) -> dict[str, Callable[[], str | None]]:
        """Return the readiness probe of Redis; none if it is not configured."""
        return {} if self._redis is None else {"rate_limits": self._redis.problem}

    async def close(self) -> None:
        """Close the connections."""
        if self._redis is not None:
            await self._redis.close()

    async def _allowance(self, owner: str, per_minute: int, number: int) -> Allowance:
        if self._shared is not None and time.monotonic() >= self._retry_at:
            try:
                return await _allowance(self._shared, owner, per_minute, number)
            except StorageError as error:
                self._pause_redis(error)
        if self._clock.step_s() < 0:
            # The windows of `limits` end by the wall clock: set back by an hour, a caller who has
            # used up a minute's requests would wait for the hour.
            self._local = SlidingWindowCounterRateLimiter(MemoryStorage())
        return await _allowance(self._local, owner, per_minute, number)

    def _pause_redis(self, error: StorageError) -> None:
        now = time.monotonic()
        self._retry_at = now + REDIS_COOLDOWN_S
        if now - self._warned_at >= WARN_EVERY_S:
            self._warned_at = now
            # Only its class: the message may quote the URL.
            kind = type(error.storage_error).__name__
            logger.warning("rate limits are not shared: Redis does not answer (%s)", kind)


def rate_limiter(settings: Settings) -> RateLimiter:
    """Return the limiter that the settings describe.

    Raises:
        SetupError: the URL is not one of Redis or Valkey.
    """
    url = settings.api.rate_limit_url
    return RateLimiter(None if url is None else url.get_secret_value())


async def _allowance(
    limiter: SlidingWindowCounterRateLimiter, owner: str, per_minute: int, number: int
) -> Allowance:
    item = RateLimitItemPerMinute(per_minute)
    if number:
        allowed = await limiter.hit(item, owner, cost=number)
    else:
        allowed = await limiter.test(item, owner)
    stats = await limiter.get_window_stats(item, owner)
    reset_s = min(max(0, math.ceil(stats.reset_time - time.time())), WINDOW_S)
    return Allowance(allowed, per_minute, stats.remaining, reset_s)


def _redis_counters(url: str) -> "RedisCounters":
    from api.auth.redis_counters import RedisCounters

    return RedisCounters(url)
