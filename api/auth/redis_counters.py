"""Redis or Valkey as the counter that replicas share.

Imported only if one is configured: importing redis takes half a second, because it loads
OpenTelemetry's SDK.
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


class RedisCounters:
    """One Redis; connects on first use.

    Raises:
        SetupError: the URL is not one of Redis or Valkey.
    """

    def __init__(self, url: str) -> None:
        if not url.startswith(_SCHEMES):
            raise SetupError(
                "YTCAPTION_RATE_LIMIT_URL is not a URL of Redis or Valkey. Write "
                "redis://host:6379, or rediss:// for TLS."
            )
        self._url = url.replace("valkey", "redis", 1)  # the same protocol
        try:
            # No retries: a request is waiting.
            self._pool = ConnectionPool.from_url(
                self._url, retry=Retry(NoBackoff(), 0), **_TIMEOUTS
            )
        except ValueError:  # an invalid port; the message may quote the password
            raise SetupError("YTCAPTION_RATE_LIMIT_URL cannot be parsed. Change it.") from None
        self.storage = RedisStorage(
            "async+redis://",  # the pool holds the address
            implementation="redispy",
            wrap_exceptions=True,
            key_prefix="ytcaption",
            connection_pool=self._pool,  # pyright: ignore[reportArgumentType] - it is documented
        )

    def problem(self) -> str | None:
        """Return why it cannot be used, for readiness; blocks for a second at most."""
        try:
            with redis.Redis.from_url(self._url, **_TIMEOUTS) as client:
                client.ping()
        except (redis.RedisError, OSError):
            return "Redis does not answer: each process counts requests for itself"
        return None

    async def close(self) -> None:
        """Close the connections."""
        await self._pool.aclose()
