"""moto's S3 over HTTP on loopback, which can misbehave on request."""

import threading
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Any

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "captioner", "AWS_SECRET_ACCESS_KEY": "not-a-secret"}
"""For the environment; the server accepts any."""

_BUSY = (
    b'<?xml version="1.0"?><Error><Code>SlowDown</Code>'
    b"<Message>Please reduce your request rate.</Message></Error>"
)
_STALL_S = 300.0


class S3Fault(StrEnum):
    """What all answers are like while the fault lasts."""

    REFUSES = "503 SlowDown"
    STALLS = "no answer"
    CUTS = "half of each body"
    FLIPS = "one bit of each body is wrong"


class S3Server:
    """The server.

    Attributes:
        url: its endpoint.
        fault: none, or the one of all requests from now on.
        fault_answers: number of answers after which the fault ends; None: it stays.
        faults: how many requests each fault has met.
    """

    def __init__(self) -> None:
        from moto.moto_server.werkzeug_app import (
            DomainDispatcherApplication,
            MotoRequestHandler,
            create_backend_app,
        )
        from werkzeug.serving import make_server

        self.fault: S3Fault | None = None
        self.fault_answers: int | None = None
        self.faults: dict[S3Fault, int] = dict.fromkeys(S3Fault, 0)
        self._app = DomainDispatcherApplication(create_backend_app)
        self._server = make_server(
            "127.0.0.1", 0, self._answer, threaded=True, request_handler=_quiet(MotoRequestHandler)
        )
        self._server.daemon_threads = True  # pyright: ignore[reportAttributeAccessIssue]
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """End it."""
        self.fault = None
        self._server.shutdown()
        self._server.server_close()

    def make_bucket(self) -> str:
        """Create a bucket and return its name."""
        import boto3

        # A name may contain what is a status elsewhere.
        bucket = f"captions-404-{uuid.uuid4().hex}"
        boto3.client(
            "s3",
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        ).create_bucket(Bucket=bucket)
        return bucket

    @contextmanager
    def failing(self, fault: S3Fault, answers: int | None = None) -> Iterator[None]:
        """Let all answers, or the next few, have a fault while the context lasts."""
        self.fault, self.fault_answers = fault, answers
        try:
            yield
        finally:
            self.fault = None

    def _answer(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        fault = self.fault
        if fault is None:
            return self._app(environ, start_response)
        self.faults[fault] += 1
        if self.fault_answers is not None:
            self.fault_answers -= 1
            self.fault = fault if self.fault_answers else None
        match fault:
            case S3Fault.REFUSES:
                headers = [("Content-Type", "application/xml"), ("Content-Length", str(len(_BUSY)))]
                start_response("503 Slow Down", headers)
                return [_BUSY]
            case S3Fault.STALLS:
                deadline = time.monotonic() + _STALL_S
                while self.fault is fault and time.monotonic() < deadline:
                    time.sleep(0.05)
                return self._app(environ, start_response)
            case S3Fault.CUTS:
                return _half(b"".join(self._app(environ, start_response)))
            case S3Fault.FLIPS:
                return [_flipped(b"".join(self._app(environ, start_response)))]


def _half(body: bytes) -> Iterator[bytes]:
    """Yield the first half, although the head has announced all: the connection ends."""
    yield body[: len(body) // 2]


def _flipped(body: bytes) -> bytes:
    """Return the body with one bit changed, in its middle."""
    at = len(body) // 2
    return body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :] if body else body


def _quiet(handler: type) -> type:
    """Return the handler without its lines in the log."""

    def say_nothing(*_: object, **__: object) -> None:
        pass

    return type("QuietHandler", (handler,), {"log": say_nothing})


@contextmanager
def s3_server() -> Iterator[S3Server]:
    """Yield a server that works."""
    server = S3Server()
    try:
        yield server
    finally:
        server.close()
