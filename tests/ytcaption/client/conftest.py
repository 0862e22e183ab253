"""Fixtures of the client's tests: a real server, and a connection that breaks."""

from collections.abc import Callable, Iterator

import httpx
import pytest

from tests.api.conftest import dagster_home, keys, server_url, serving, world  # noqa: F401
from ytcaption.client.client import Client

Answer = Callable[[httpx.Request], httpx.Response | None]


class Line(httpx.BaseTransport):
    """A transport to the server whose connection can break. Attributes: `requests` that were sent,
    in order; `instead` is called first and may return a response, raise, or return None to pass the
    request on; `cut_after` holds bytes of the next responses after which the connection breaks;
    `lose_answers` is the number of responses to lose after the server has done its work."""

    def __init__(self) -> None:
        self.requests: list[httpx.Request] = []
        self.instead: Answer = lambda _: None
        self.cut_after: list[int] = []
        self.lose_answers = 0
        self._http = httpx.HTTPTransport()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.instead(request) or self._http.handle_request(request)
        if self.lose_answers:
            self.lose_answers -= 1
            answer.read()
            raise httpx.ReadError("lost")
        if self.cut_after and answer.status_code < 400:
            assert isinstance(answer.stream, httpx.SyncByteStream)
            answer.stream = _Cut(answer.stream, self.cut_after.pop(0))
        return answer

    def close(self) -> None:
        self._http.close()

    def paths(self) -> list[str]:
        """Return method and path of each request."""
        return [f"{each.method} {each.url.path}" for each in self.requests]


class _Cut(httpx.SyncByteStream):
    def __init__(self, stream: httpx.SyncByteStream, after: int) -> None:
        self._stream, self._left = stream, after

    def __iter__(self) -> Iterator[bytes]:
        for block in self._stream:
            yield block[: self._left]
            self._left -= len(block)
            if self._left <= 0:
                raise httpx.ReadError("cut")

    def close(self) -> None:
        self._stream.close()


@pytest.fixture
def line() -> Line:
    """Return an intact connection."""
    return Line()


@pytest.fixture
def api(server_url: str, line: Line) -> Iterator[Client]:
    """Yield a client of the server."""
    with Client(server_url, transport=line) as client:
        yield client
