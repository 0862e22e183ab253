"""Where the recordings come from: sites on loopback that fail in every way, each in its own."""

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
class Fate:
    """What a site does to those who ask.

    Attributes:
        path: of tests.support.servers.media_server, with the file's name in it.
        ends_as: the code of the failure; `COMPLETED` where the site relents.
        share: of all requests; what is left is whole.
    """

    name: str
    path: str
    query: dict[str, Any]
    ends_as: str = COMPLETED
    share: float = 0.05


WHOLE = Fate("whole", "{}", {})
FATES = [
    Fate("403 twice", "status/403/{}", {"times": 2}),
    Fate("429 once", "status/429/{}", {"times": 1, "retry_after": 2}),
    Fate("500 twice", "status/500/{}", {"times": 2}),
    Fate("stalls once", "stall/{}", {"after": 4_000, "times": 1}, share=0.03),
    Fate("cut off twice", "cut/{}", {"after": 4_000, "times": 2}),
    Fate("slow", "slow/{}", {"rate": 20_000}),
    Fate("gone", "status/404", {}, "media_not_found"),
    Fate("no media", NO_MEDIA, {}, "not_media", share=0.03),
]
REFUSES = Fate("403 for ever", "status/403/{}", {}, "source_blocked")
"""One request alone has it, on a site of its own: its breaker opens, which takes a minute."""

MANY = 100
"""With fewer requests nobody waits for that."""


@dataclass(frozen=True)
class Asked:
    """One request as it will be made.

    Attributes:
        clip: None where no audio comes.
    """

    number: int
    url: str
    fate: Fate
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

    def requests(self, clips: list[Clip], seed: int) -> list[Asked]:
        """One a clip, each fate with its share, in an order that the seed gives."""
        choose = random.Random(seed)
        fates = [REFUSES] if len(clips) >= MANY else []
        for fate in FATES:
            fates += [fate] * max(1, round(fate.share * len(clips)))
        fates += [WHOLE] * (len(clips) - len(fates))
        choose.shuffle(fates)
        asked = []
        for number, (clip, fate) in enumerate(zip(clips, fates, strict=False)):
            host = REFUSING_HOST if fate is REFUSES else choose.choice(HOSTS)
            path = fate.path.format(clip.name)
            url = self._servers[host].url(path, n=number, **fate.query)
            asked.append(Asked(number, url, fate, clip if fate.ends_as == COMPLETED else None))
        return asked
