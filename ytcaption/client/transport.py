"""HTTP requests: repeated if that is safe and useful; errors as the client's own."""

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
"""If nobody listens the address is usually wrong: that is reported within two seconds."""

RETRY_FOR_S = 60.0
"""Limit of all pauses between the attempts of one call, unless the call has its own."""

REPEATED_STATUSES = frozenset({429, 503})
_LONGEST_PAUSE_S = 8.0
_CONNECT_TIMEOUT_S, _RESPONSE_TIMEOUT_S = 10.0, 60.0


@dataclass(frozen=True)
class Call:
    """One request.

    Attributes:
        repeatable: doing it twice has the effect of doing it once. Other requests are repeated only
            if the server says that it did nothing.
        body: creates the content for each attempt.
        retry_for_s: limit of all pauses between attempts; a longer `Retry-After` ends it.
    """

    method: str
    path: str
    params: Mapping[str, Any] | None = None
    json: Any = None
    body: Callable[[], Iterator[bytes]] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    repeatable: bool = True
    timeout_s: float | None = None
    retry_for_s: float = RETRY_FOR_S


class Transport:
    """Connections to one server, with the caller's key."""

    def __init__(self, base_url: str, api_key: str | None, transport: httpx.BaseTransport | None):
        headers = {"User-Agent": f"ytcaption/{metadata.version('ytcaption')}"}
        if api_key:
            headers["Authorization"] = f"Bearer {api_key}"
        self.base_url = checked_base_url(base_url)
        self._http = httpx.Client(
            base_url=self.base_url,
            headers=headers,
            timeout=httpx.Timeout(_RESPONSE_TIMEOUT_S, connect=_CONNECT_TIMEOUT_S),
            transport=transport,
            follow_redirects=False,  # the key must not go to another server
        )

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def send(self, call: Call) -> httpx.Response:
        """Return the response, 2xx or 3xx; repeats after lost connections, 429 and 503.

        Raises:
            ApiError: the server refused.
            ServerUnreachable: there was no response on any attempt.
        """
        attempt, deadline = 1, time.monotonic() + call.retry_for_s
        while True:
            attempts = MAX_ATTEMPTS
            try:
                response = self._http.send(self._request(call))
                if response.status_code < 400:
                    return refuse_redirect(response)
                error, again = problem_of(response), response.status_code in REPEATED_STATUSES
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
        """Yield a response whose body is read as it comes; never repeated.

        Raises:
            ApiError: the server refused.
            ServerUnreachable: there was no response, or it broke off.
        """
        try:
            response = self._http.send(self._request(call), stream=True)
            try:
                if response.status_code >= 400:
                    response.read()
                    raise problem_of(response)
                yield refuse_redirect(response)
            finally:
                response.close()
        except httpx.TransportError as failure:
            raise unreachable(self.base_url, failure) from failure

    def _request(self, call: Call) -> httpx.Request:
        timeout = httpx.Timeout(call.timeout_s or _RESPONSE_TIMEOUT_S, connect=_CONNECT_TIMEOUT_S)
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
    """Return the server's address without a trailing slash.

    Raises:
        InvalidUrl: it is not a URL, or contains a password.
    """
    try:
        parts = urlsplit(base_url.strip())
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        raise InvalidUrl("This is not the address of a server. Write http://host:8000.") from None
    if not usable:
        raise InvalidUrl(
            "This is not the address of a server. Write http://host:8000 or https://host."
        )
    if parts.username or parts.password:
        raise InvalidUrl("The address contains a password. Set the key in YTCAPTION_API_KEY.")
    if parts.query or parts.fragment:
        raise InvalidUrl("The address ends with a query. Write http://host:8000.")
    return parts._replace(path=parts.path.rstrip("/")).geturl()


def refuse_redirect(response: httpx.Response) -> httpx.Response:
    """Return the response itself.

    Raises:
        UnexpectedAnswer: it is a redirect, which must not receive the key.
    """
    if response.is_redirect:
        parts = urlsplit(response.headers.get("Location", ""))
        raise UnexpectedAnswer(
            f"The server redirects to {parts.scheme}://{parts.hostname or ''}. "
            "Use that address if it is right."
        )
    return response


def problem_of(response: httpx.Response) -> ApiError | UnexpectedAnswer:
    """Return the error that a response of 400 or more stands for."""
    try:
        body = response.json()
    except ValueError:
        body = None
    if not isinstance(body, dict) or "code" not in body:
        if response.status_code in REPEATED_STATUSES or response.status_code >= 500:
            body = {}  # of a proxy whose server does not answer
        else:
            return UnexpectedAnswer(
                f"What answers at {response.request.url.host} ({response.status_code}) is not a "
                "ytcaption. Check the server's address."
            )
    wait_s = retry_after_s(response.headers.get("Retry-After"), datetime.now(UTC))
    return ApiError(response.status_code, body, wait_s)


def unreachable(base_url: str, failure: httpx.TransportError) -> ServerUnreachable:
    """Return the error for a connection that failed."""
    if isinstance(failure, httpx.ConnectError | httpx.ConnectTimeout):
        return ServerUnreachable(
            f"There is no answer from {base_url}. Check the address and that the server is running."
        )
    if isinstance(failure, httpx.TimeoutException):
        return ServerUnreachable(f"{base_url} does not answer in time. Try again later.")
    return ServerUnreachable(f"The connection to {base_url} was lost. Try again.")


def pause_before(attempt: int, error: Exception) -> float:
    """Return the seconds until the next attempt: as the server says, else growing, with jitter."""
    if isinstance(error, ApiError) and error.retry_after_s is not None:
        return error.retry_after_s + random.uniform(0, 0.25)  # noqa: S311 - no secret
    longest = min(_LONGEST_PAUSE_S, 0.25 * 2**attempt)
    return random.uniform(longest / 2, longest)  # noqa: S311 - no secret
