"""Those who ask: each request until it is accepted, whatever dies meanwhile."""

import threading
import time
from collections.abc import Callable

import httpx

from tests.chaos.clips import OPTIONS
from tests.chaos.source import Asked
from tests.ytcaption_assets.cli.up.test_up import Up
from ytcaption_assets.cli.up.state import read_state

PATH = "/api/v1/transcriptions"
LOOK_EVERY_S = 0.5


class Clients:
    """A thread that makes the requests, so many seconds in all; a context manager.

    Args:
        callback: where each is told of its end, if anywhere.
        when: nothing is asked for before this holds.

    Attributes:
        accepted: id by request number.
        refused: answers that are neither an acceptance nor worth another try, by request number.
        repeats: how often a request was sent again.
    """

    def __init__(
        self,
        up: Up,
        requests: list[Asked],
        span_s: float,
        callback: Callable[[int], str | None],
        when: Callable[[], bool] = lambda: True,
    ) -> None:
        self.accepted: dict[int, str] = {}
        self.refused: dict[int, str] = {}
        self.repeats = 0
        self._up, self._requests, self._callback, self._when = up, requests, callback, when
        self._apart_s = span_s / len(requests)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._work, name="clients", daemon=True)

    def __enter__(self) -> "Clients":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    @property
    def is_done(self) -> bool:
        """Whether every request has its answer."""
        return len(self.accepted) + len(self.refused) == len(self._requests)

    def _work(self) -> None:
        while not self._when():
            if self._ended.wait(LOOK_EVERY_S):
                return
        began = time.monotonic()
        for place, asked in enumerate(self._requests):
            if self._ended.wait(max(0.0, began + place * self._apart_s - time.monotonic())):
                return
            while not self._ask(asked):
                self.repeats += 1
                if self._ended.wait(1.0):
                    return

    def _ask(self, asked: Asked) -> bool:
        """Whether it is settled. The Idempotency-Key makes the repetitions one request."""
        state = read_state(self._up.home)
        if state is None:
            return False
        body = {
            "url": asked.url,
            "model": OPTIONS.model,
            "language": OPTIONS.language,
            "callback_url": self._callback(asked.number),
        }
        try:
            answer = httpx.post(
                f"http://{state.api_host}:{state.api_port}{PATH}",
                json=body,
                headers={"Idempotency-Key": f"chaos-{asked.number}"},
                timeout=20,
            )
        except httpx.HTTPError:
            return False
        if answer.status_code == 202:
            self.accepted[asked.number] = answer.json()["id"]
        elif answer.status_code in (409, 429) or answer.status_code >= 500:
            return False
        else:
            self.refused[asked.number] = answer.text
        return True
