"""Clients that repeat each request until it is accepted, whatever is killed meanwhile."""

import threading
import time
from collections.abc import Callable

import httpx

from tests.chaos.clips import OPTIONS
from tests.chaos.source import ChaosRequest
from tests.ytcaption_assets.cli.up.test_up import Up
from ytcaption_assets.cli.up.state import read_state

PATH = "/api/v1/transcriptions"
POLL_EVERY_S = 0.5


class Clients:
    """A thread that makes the requests over `span_s` seconds; a context manager.

    Args:
        callback: returns the callback URL of a request, if any.
        when: no request is made before this returns true.

    Attributes:
        accepted: ids by request number.
        refused: texts of final refusals, by request number.
        repeats: how often a request was sent again.
    """

    def __init__(
        self,
        up: Up,
        requests: list[ChaosRequest],
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
        """Whether every request was accepted or refused."""
        return len(self.accepted) + len(self.refused) == len(self._requests)

    def _work(self) -> None:
        while not self._when():
            if self._ended.wait(POLL_EVERY_S):
                return
        began = time.monotonic()
        for index, request in enumerate(self._requests):
            if self._ended.wait(max(0.0, began + index * self._apart_s - time.monotonic())):
                return
            while not self._send(request):
                self.repeats += 1
                if self._ended.wait(1.0):
                    return

    def _send(self, request: ChaosRequest) -> bool:
        """Return whether the request was accepted or refused.

        The Idempotency-Key makes all repetitions one request.
        """
        state = read_state(self._up.home)
        if state is None:
            return False
        body = {
            "url": request.url,
            "model": OPTIONS.model,
            "language": OPTIONS.language,
            "callback_url": self._callback(request.number),
        }
        try:
            response = httpx.post(
                f"http://{state.api_host}:{state.api_port}{PATH}",
                json=body,
                headers={"Idempotency-Key": f"chaos-{request.number}"},
                timeout=20,
            )
        except httpx.HTTPError:
            return False
        if response.status_code == 202:
            self.accepted[request.number] = response.json()["id"]
        elif response.status_code in (409, 429) or response.status_code >= 500:
            return False
        else:
            self.refused[request.number] = response.text
        return True
