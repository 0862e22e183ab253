"""Load on the API by many clients at once, with latencies by kind of request."""

import asyncio
import itertools
import random
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import aiohttp
import numpy as np

SendRequest = Callable[[aiohttp.ClientSession, int], Awaitable[int]]
"""Sends the n-th request and returns the HTTP status."""


@dataclass
class LoadResults:
    """Latencies by kind of request, and errors."""

    latencies_s: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    errors: list[str] = field(default_factory=list)
    wall_s: float = 0.0

    def quantile_ms(self, kind: str, q: float) -> float:
        """Return the quantile `q` (0 to 1) of a kind, in milliseconds."""
        return float(np.quantile(self.latencies_s[kind], q)) * 1000

    @property
    def requests_per_s(self) -> float:
        """Return the throughput, of all kinds together."""
        return sum(map(len, self.latencies_s.values())) / self.wall_s


async def paced(
    requests: Sequence[tuple[str, SendRequest]], *, clients: int, seconds: float, think_s: float
) -> LoadResults:
    """Send requests of all kinds in turn from each client, with think time between them."""
    results, numbers = LoadResults(), itertools.count()
    began = time.perf_counter()

    async def client(session: aiohttp.ClientSession) -> None:
        await asyncio.sleep(random.uniform(0, think_s))
        while time.perf_counter() - began < seconds:
            for kind, send in requests:
                await _timed(results, kind, send, session, next(numbers))
                await asyncio.sleep(random.uniform(0.5, 1.5) * think_s)

    async with _session(clients) as session:
        await asyncio.gather(*(client(session) for _ in range(clients)))
    results.wall_s = time.perf_counter() - began
    return results


async def without_pause(
    kind: str, send: SendRequest, *, clients: int, seconds: float
) -> LoadResults:
    """Send the next request as soon as the one before is answered, from each client."""
    results, numbers = LoadResults(), itertools.count()
    began = time.perf_counter()

    async def client(session: aiohttp.ClientSession) -> None:
        while time.perf_counter() - began < seconds:
            await _timed(results, kind, send, session, next(numbers))

    async with _session(clients) as session:
        await asyncio.gather(*(client(session) for _ in range(clients)))
    results.wall_s = time.perf_counter() - began
    return results


def _session(clients: int) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=clients), timeout=aiohttp.ClientTimeout(total=30)
    )


async def _timed(
    results: LoadResults, kind: str, send: SendRequest, session: aiohttp.ClientSession, number: int
) -> None:
    began = time.perf_counter()
    try:
        status = await send(session, number)
    except (aiohttp.ClientError, TimeoutError) as error:
        results.errors.append(f"{kind}: {type(error).__name__}")
        return
    results.latencies_s[kind].append(time.perf_counter() - began)
    if status >= 400:
        results.errors.append(f"{kind}: {status}")
