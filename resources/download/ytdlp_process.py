"""A process that runs yt-dlp or reads what a stranger wrote: started, listened to, ended."""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Literal

import resources
import ytcaption
from resources.network.egress_proxy import Traffic
from resources.processes.forked_child import Child, ForkedChild
from ytcaption.domain.errors import (
    BlockedAddress,
    ClaimLost,
    InputError,
    MediaTooLarge,
    ProxyUnavailable,
    SourceError,
    SourceUnavailable,
    YtcaptionError,
)

Program = Literal["download", "listing"]

_MODULES = {
    "download": "resources.download.download_child",
    "listing": "resources.channels.listing.child",
}

STOP_S = 10.0
POLL_S = 0.2


@contextlib.contextmanager
def ytdlp_process(
    program: Program,
    directory: Path,
    order: Mapping[str, Any],
    errors: IO[bytes],
    child_server: str | None,
) -> Iterator[Child]:
    """The process at work, in a group of its own; ended and gone afterwards.

    Args:
        program: reads the order.
        directory: its working folder and home.
        errors: what it prints.
        child_server: socket of the child server, where there may be one.
    """
    child = _started(program, directory, errors.fileno(), child_server)
    assert child.stdin is not None and child.stdout is not None
    try:
        # stdin stays open: its end tells the child that we are gone.
        with contextlib.suppress(BrokenPipeError):
            child.stdin.write(json.dumps(order).encode() + b"\n")
            child.stdin.flush()
        yield child
    finally:
        _end(child)
        with contextlib.suppress(BrokenPipeError):
            child.stdin.close()
        child.stdout.close()


def _started(program: Program, directory: Path, errors: int, child_server: str | None) -> Child:
    environment = child_environment(directory)
    forked = child_server and ForkedChild.start(
        Path(child_server),
        program,
        environment=environment,
        directory=directory,
        stderr=errors,
    )
    return forked or subprocess.Popen(
        [sys.executable, "-P", "-m", _MODULES[program]],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        cwd=directory,
        env=environment,
        start_new_session=True,
    )


def _end(child: Child) -> None:
    """SIGTERM, ten seconds, SIGKILL, to the whole group."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if child.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(STOP_S)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)  # what the child had started


def child_environment(directory: Path) -> dict[str, str]:
    """What the child needs and no more: no proxy, password or configuration of ours."""
    packages = (resources, ytcaption)
    roots = dict.fromkeys(str(Path(str(module.__file__)).parents[1]) for module in packages)
    kept = ("SSL_CERT_FILE", "SSL_CERT_DIR", "LANG", "TZ")
    return {
        "PYTHONPATH": os.pathsep.join(roots),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PATH": os.defpath,
        "HOME": str(directory),
        "TMPDIR": str(directory),
        "YTDLP_NO_PLUGINS": "1",
        "DENO_NO_UPDATE_CHECK": "1",
        **{name: os.environ[name] for name in kept if name in os.environ},
    }


def events_of(
    child: Child, should_stop: Callable[[], bool], deadline: float, late: str
) -> Iterator[dict[str, Any]]:
    """What the child reports, until it ends.

    Raises:
        ClaimLost: asked to stop.
        SourceUnavailable: the time is over; `late` says so to a person.
    """
    assert child.stdout is not None
    descriptor, waiting = child.stdout.fileno(), b""
    while True:
        if should_stop():
            raise ClaimLost("The download was stopped.")
        if time.monotonic() > deadline:
            raise SourceUnavailable(late)
        readable, _, _ = select.select([descriptor], [], [], POLL_S)
        if not readable:
            continue
        data = os.read(descriptor, 1 << 16)
        if not data:
            return
        *lines, waiting = (waiting + data).split(b"\n")
        for line in lines:
            yield json.loads(line)


def failure_of(event: dict[str, Any], traffic: Traffic) -> YtcaptionError:
    """The child's error, or what the proxy knows better."""
    kinds = {kind.code: kind for kind in YtcaptionError.kinds()}
    error = kinds.get(event["code"], SourceError)(event["message"])
    error.retry_after_s = event["retry_after_s"]
    if not isinstance(error, SourceError | InputError):
        return error
    if traffic.too_many_bytes:
        return MediaTooLarge("The server sent more bytes than this installation allows.")
    return known_better(error, traffic)


def known_better(error: YtcaptionError, traffic: Traffic) -> YtcaptionError:
    """Why nothing came, where the egress proxy knows; else the error."""
    if traffic.refused:
        return BlockedAddress(f"The link leads where it may not: {traffic.refused[-1]}.")
    if not isinstance(error, SourceUnavailable):
        return error
    if traffic.upstream.errors:
        return ProxyUnavailable(
            "A proxy that goes out of this installation does not work. The next attempt takes "
            "another one, where there is one."
        )
    if traffic.unreachable:
        return SourceUnavailable(f"The server cannot be reached: {traffic.unreachable[-1]}.")
    return error
