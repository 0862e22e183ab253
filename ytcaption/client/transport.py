"""Requests over HTTP, repeated where that is safe and worth it, and errors as our own."""

import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from typing import Any
from urllib.parse import urlsplit

import httpx

from ytcaption.client.errors import ApiError, ServerUnreachable, UnexpectedAnswer
from ytcaption.domain.errors import InvalidUrl
from ytcaption.domain.retry_after import retry_after_s

MAX_ATTEMPTS = 5
CONNECT_ATTEMPTS = 3
"""Where nobody listens, as a rule the address is wrong: that is said within two seconds."""

RETRY_FOR_S = 60.0
"""All pauses between the attempts of one call; a longer `Retry-After` is left to the caller."""

REPEATED_STATUSES = frozenset({429, 503})
_LONGEST_PAUSE_S = 8.0
_CONNECT_S, _ANSWER_S = 10.0, 60.0


@dataclass(frozen=True)
class Call:
    """One request.

    Attributes:
        repeatable: whether doing it twice is doing it once. What is not is repeated only where the
            server has said that it did nothing.
        body: makes the content anew for each attempt.
    """

    method: str
    path: str
    params: Mapping[str, Any] | None = None
    json: Any = None
    body: Callable[[], Iterator[bytes]] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    repeatable: bool = True
    timeout_s: float | None = None


class Transport:
    """One server, with the caller's key."""

    def __init__(self, base_url: str, api_key: str | None, transport: httpx.BaseTransport | None):
        headers = {"User-Agent": f"ytcaption/{metadata.version('ytcaption')}"}
        if api_key:
            headers["Authorization"] = f"Bearer {api_key}"
        self.base_url = checked_base_url(base_url)
        self._http = httpx.Client(
            base_url=self.base_url,
            headers=headers,
            timeout=httpx.Timeout(_ANSWER_S, connect=_CONNECT_S),
            transport=transport,
            follow_redirects=False,  # the key is for this server and no other
        )

    def close(self) -> None:
        """Gives the connections back."""
        self._http.close()

    def send(self, call: Call) -> httpx.Response:
        """The answer, 2xx or 3xx, repeated on lost connections, 429 and 503.

        Raises:
            ApiError: the server refused.
            ServerUnreachable: no answer, again and again.
        """
        attempt, deadline = 1, time.monotonic() + RETRY_FOR_S
        while True:
            attempts = MAX_ATTEMPTS
            try:
                answer = self._http.send(self._request(call))
                if answer.status_code < 400:
                    return not_elsewhere(answer)
                error, again = problem_of(answer), answer.status_code in REPEATED_STATUSES
            except httpx.TransportError as failure:
                error = unreachable(self.base_url, failure)
                again = call.repeatable or isinstance(failure, httpx.ConnectError)
                if isinstance(failure, httpx.ConnectError | httpx.ConnectTimeout):
                    attempts = CONNECT_ATTEMPTS
            pause_s = pause_before(attempt, error)
            if not again or attempt >= attempts or time.monotonic() + pause_s > deadline:
                raise error
            time.sleep(pause_s)
            attempt += 1

    @contextmanager
    def stream(self, call: Call) -> Iterator[httpx.Response]:
        """An answer whose body is read as it comes; never repeated.

        Raises:
            ApiError: the server refused.
            ServerUnreachable: no answer, or it broke off.
        """
        try:
            answer = self._http.send(self._request(call), stream=True)
            try:
                if answer.status_code >= 400:
                    answer.read()
                    raise problem_of(answer)
                yield not_elsewhere(answer)
            finally:
                answer.close()
        except httpx.TransportError as failure:
            raise unreachable(self.base_url, failure) from failure

    def _request(self, call: Call) -> httpx.Request:
        timeout = httpx.Timeout(call.timeout_s or _ANSWER_S, connect=_CONNECT_S)
        return self._http.build_request(
            call.method,
            call.path,
            params={
                name: value for name, value in (call.params or {}).items() if value is not None
            },
            json=call.json,
            content=call.body() if call.body else None,
            headers=dict(call.headers),
            timeout=timeout,
        )


def checked_base_url(base_url: str) -> str:
    """The server's address, without a slash at its end.

    Raises:
        InvalidUrl: it is none, or holds a password.
    """
    try:
        parts = urlsplit(base_url.strip())
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        raise InvalidUrl("This is no server's address. Write http://host:8000.") from None
    if not usable:
        raise InvalidUrl("This is no server's address. Write http://host:8000 or https://host.")
    if parts.username or parts.password:
        raise InvalidUrl("The server's address holds a password. Give a key by YTCAPTION_API_KEY.")
    if parts.query or parts.fragment:
        raise InvalidUrl("The server's address ends with a query. Write http://host:8000.")
    return parts._replace(path=parts.path.rstrip("/")).geturl()


def not_elsewhere(answer: httpx.Response) -> httpx.Response:
    """The answer itself.

    Raises:
        UnexpectedAnswer: it sends elsewhere, where the key must not go unasked.
    """
    if answer.is_redirect:
        parts = urlsplit(answer.headers.get("Location", ""))
        raise UnexpectedAnswer(
            f"The server sends on to {parts.scheme}://{parts.hostname or ''}. "
            "Name that address if it is right."
        )
    return answer


def problem_of(answer: httpx.Response) -> ApiError | UnexpectedAnswer:
    """The error that an answer of 400 and more is."""
    try:
        body = answer.json()
    except ValueError:
        body = None
    if not isinstance(body, dict) or "code" not in body:
        if answer.status_code in REPEATED_STATUSES or answer.status_code >= 500:
            body = {}  # a proxy's, in front of a server that is away
        else:
            return UnexpectedAnswer(
                f"What answers at {answer.request.url.host} ({answer.status_code}) is no "
                "ytcaption. Check the server's address."
            )
    wait_s = retry_after_s(answer.headers.get("Retry-After"), datetime.now(UTC))
    return ApiError(answer.status_code, body, wait_s)


def unreachable(base_url: str, failure: httpx.TransportError) -> ServerUnreachable:
    """What a person is told of a connection that failed."""
    if isinstance(failure, httpx.ConnectError | httpx.ConnectTimeout):
        return ServerUnreachable(
            f"There is no answer from {base_url}. Check the address, and that the server runs."
        )
    if isinstance(failure, httpx.TimeoutException):
        return ServerUnreachable(f"{base_url} does not answer in time. Ask again later.")
    return ServerUnreachable(f"The connection to {base_url} was lost. Ask again.")


def pause_before(attempt: int, error: Exception) -> float:
    """Seconds until the next attempt: as the server says, else longer each time, with jitter."""
    if isinstance(error, ApiError) and error.retry_after_s is not None:
        return error.retry_after_s + random.uniform(0, 0.25)  # noqa: S311 - no secret
    longest = min(_LONGEST_PAUSE_S, 0.25 * 2**attempt)
    return random.uniform(longest / 2, longest)  # noqa: S311 - no secret
