"""Clients of the API, many at once: what each request took, by kind."""

import asyncio
import itertools
import random
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import aiohttp
import numpy as np

Ask = Callable[[aiohttp.ClientSession, int], Awaitable[int]]
"""Sends the n-th request; its HTTP status."""


@dataclass
class Took:
    """Latencies by kind of request, in seconds, and what went wrong."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    errors: list[str] = field(default_factory=list)
    wall_s: float = 0.0

    def quantile_ms(self, kind: str, share: float) -> float:
        """In milliseconds."""
        return float(np.quantile(self.seconds[kind], share)) * 1000

    @property
    def rate(self) -> float:
        """Requests a second, of all kinds."""
        return sum(map(len, self.seconds.values())) / self.wall_s


async def paced(
    asks: Sequence[tuple[str, Ask]], *, clients: int, seconds: float, think_s: float
) -> Took:
    """Each client asks in turn, and thinks between two requests, as one that heeds Retry-After."""
    took, numbers = Took(), itertools.count()
    began = time.perf_counter()

    async def client(session: aiohttp.ClientSession) -> None:
        await asyncio.sleep(random.uniform(0, think_s))
        while time.perf_counter() - began < seconds:
            for kind, ask in asks:
                await _timed(took, kind, ask, session, next(numbers))
                await asyncio.sleep(random.uniform(0.5, 1.5) * think_s)

    async with _session(clients) as session:
        await asyncio.gather(*(client(session) for _ in range(clients)))
    took.wall_s = time.perf_counter() - began
    return took


async def flat_out(kind: str, ask: Ask, *, clients: int, seconds: float) -> Took:
    """Each client asks again as soon as it is answered."""
    took, numbers = Took(), itertools.count()
    began = time.perf_counter()

    async def client(session: aiohttp.ClientSession) -> None:
        while time.perf_counter() - began < seconds:
            await _timed(took, kind, ask, session, next(numbers))

    async with _session(clients) as session:
        await asyncio.gather(*(client(session) for _ in range(clients)))
    took.wall_s = time.perf_counter() - began
    return took


def _session(clients: int) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=clients), timeout=aiohttp.ClientTimeout(total=30)
    )


async def _timed(
    took: Took, kind: str, ask: Ask, session: aiohttp.ClientSession, number: int
) -> None:
    began = time.perf_counter()
    try:
        status = await ask(session, number)
    except (aiohttp.ClientError, TimeoutError) as error:
        took.errors.append(f"{kind}: {type(error).__name__}")
        return
    took.seconds[kind].append(time.perf_counter() - began)
    if status >= 400:
        took.errors.append(f"{kind}: {status}")
