"""Redis or Valkey as the place where replicas count together.

Imported only where one is set: redis takes half a second, with OpenTelemetry's whole SDK in it.
"""

from typing import Any

import redis
from limits.aio.storage import RedisStorage
from redis.asyncio import ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from ytcaption.domain.errors import SetupError

_SCHEMES = ("redis://", "rediss://", "valkey://", "valkeys://")
_TIMEOUTS: dict[str, Any] = {"socket_timeout": 0.5, "socket_connect_timeout": 0.5}


class SharedCounts:
    """One Redis; nothing is opened before it is asked.

    Raises:
        SetupError: the URL is none of a Redis or Valkey.
    """

    def __init__(self, url: str) -> None:
        if not url.startswith(_SCHEMES):
            raise SetupError(
                "YTCAPTION_RATE_LIMIT_URL is no address of a Redis or Valkey. Write "
                "redis://host:6379, or rediss:// for TLS."
            )
        self._url = url.replace("valkey", "redis", 1)  # they speak the same
        try:
            # No second try: who waits is a request.
            self._pool = ConnectionPool.from_url(
                self._url, retry=Retry(NoBackoff(), 0), **_TIMEOUTS
            )
        except ValueError:  # a port that is no number; the message may quote the password
            raise SetupError("YTCAPTION_RATE_LIMIT_URL cannot be read. Change it.") from None
        self.storage = RedisStorage(
            "async+redis://",  # all that it says is in the pool
            implementation="redispy",
            wrap_exceptions=True,
            key_prefix="ytcaption",
            connection_pool=self._pool,  # pyright: ignore[reportArgumentType] - it is documented
        )

    def problem(self) -> str | None:
        """Why it cannot be used, for readiness; blocks for a second at most."""
        try:
            with redis.Redis.from_url(self._url, **_TIMEOUTS) as client:
                client.ping()
        except (redis.RedisError, OSError):
            return "Redis does not answer: each process counts requests for itself"
        return None

    async def close(self) -> None:
        """Ends the connections."""
        await self._pool.aclose()
