"""Sites on loopback that serve the recordings and fail in various ways."""

import random
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tests.chaos.clips import Clip
from tests.support.servers.media_server import (
    DATA,
    MediaServer,
)

COMPLETED = ""
HOSTS = [f"127.0.1.{number}" for number in range(1, 5)]
REFUSING_HOST = "127.0.1.9"
NO_MEDIA = "broken-not-audio.mp3"


@dataclass(frozen=True)
class Fault:
    """A site's fault.

    Attributes:
        path: of tests.support.servers.media_server, with the file's name in it.
        ends_as: code of the failure; `COMPLETED` if the fault passes.
        share: of all requests; the others have none.
    """

    name: str
    path: str
    query: dict[str, Any]
    ends_as: str = COMPLETED
    share: float = 0.05


SOUND = Fault("sound", "{}", {})
FAULTS = [
    Fault("403 twice", "status/403/{}", {"times": 2}),
    Fault("429 once", "status/429/{}", {"times": 1, "retry_after": 2}),
    Fault("500 twice", "status/500/{}", {"times": 2}),
    Fault("stalls once", "stall/{}", {"after": 4_000, "times": 1}, share=0.03),
    Fault("cut off twice", "cut/{}", {"after": 4_000, "times": 2}),
    Fault("slow", "slow/{}", {"rate": 20_000}),
    Fault("gone", "status/404", {}, "media_not_found"),
    Fault("no media", NO_MEDIA, {}, "not_media", share=0.03),
]
REFUSES = Fault("403 forever", "status/403/{}", {}, "source_blocked")
"""Fault of one request, on its own site, whose circuit breaker opens, which takes a minute."""

MANY = 100
"""With fewer requests this fault is left out, because it takes too long."""


@dataclass(frozen=True)
class ChaosRequest:
    """One request to be made.

    Attributes:
        clip: None if the site serves no audio.
    """

    number: int
    url: str
    fault: Fault
    clip: Clip | None


class Sources:
    """The sites; a context manager."""

    def __init__(self, folder: Path) -> None:
        self._stack = ExitStack()
        self._folder = folder

    def __enter__(self) -> Self:
        self._servers = {
            host: self._stack.enter_context(MediaServer(self._folder, host=host))
            for host in [*HOSTS, REFUSING_HOST]
        }
        nothing = (DATA / NO_MEDIA).read_bytes()
        for server in self._servers.values():
            server.serve(NO_MEDIA, nothing)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def requests(self, clips: list[Clip], seed: int) -> list[ChaosRequest]:
        """Return one request per clip with the faults in their shares, in an order by the seed."""
        choose = random.Random(seed)
        faults = [REFUSES] if len(clips) >= MANY else []
        for fault in FAULTS:
            faults += [fault] * max(1, round(fault.share * len(clips)))
        faults += [SOUND] * (len(clips) - len(faults))
        choose.shuffle(faults)
        requests = []
        for number, (clip, fault) in enumerate(zip(clips, faults, strict=False)):
            host = REFUSING_HOST if fault is REFUSES else choose.choice(HOSTS)
            path = fault.path.format(clip.name)
            url = self._servers[host].url(path, n=number, **fault.query)
            expected = clip if fault.ends_as == COMPLETED else None
            requests.append(ChaosRequest(number, url, fault, expected))
        return requests
