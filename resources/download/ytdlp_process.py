"""The processes that run yt-dlp or parse a feed: start one, read its events, end it."""

import contextlib
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Literal, TypeVar

import resources
import ytcaption
from resources.download.protocol import DownloadJob, Failed, FeedJob, ListingJob, encode
from resources.network.egress_proxy import Traffic
from resources.processes.forked_child import Child, ForkedChild
from resources.processes.readable import readable
from ytcaption.domain.errors import (
    BlockedAddress,
    ClaimLost,
    DownloadCrashed,
    InputError,
    MediaTooLarge,
    NetworkUnavailable,
    ProxyUnavailable,
    SourceError,
    SourceUnavailable,
    YtcaptionError,
)

Program = Literal["download", "listing"]
Event = TypeVar("Event")

_MODULES = {
    "download": "resources.download.download_child",
    "listing": "resources.channels.listing.child",
}

STOP_S = 10.0
"""Time that a process gets after SIGTERM, before SIGKILL."""

POLL_S = 0.2

_log = logging.getLogger(__name__)


@contextlib.contextmanager
def ytdlp_process(
    program: Program,
    directory: Path,
    job: DownloadJob | ListingJob | FeedJob,
    errors: IO[bytes],
    child_server: str | None,
) -> Iterator[Child]:
    """Run the process in a group of its own, and end it with all it started at the end.

    Args:
        program: reads the job.
        directory: its working folder and home.
        errors: receives what it prints.
        child_server: socket of the child server; None: start a fresh interpreter.
    """
    child = _started(program, directory, errors.fileno(), child_server)
    assert child.stdin is not None and child.stdout is not None
    try:
        # Standard input stays open: its end tells the child that this process is gone.
        with contextlib.suppress(BrokenPipeError):
            child.stdin.write(encode(job))
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
    """Send SIGTERM and after `STOP_S` SIGKILL to the whole group."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if child.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(STOP_S)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)  # processes that the child has started


def child_environment(directory: Path) -> dict[str, str]:
    """Return the child's whole environment: no proxy, password or setting of this process."""
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
        "PYDANTIC_DISABLE_PLUGINS": "__all__",  # no other package's code runs in the child
        "DENO_NO_UPDATE_CHECK": "1",
        **{name: os.environ[name] for name in kept if name in os.environ},
    }


def events_of(
    child: Child,
    read_event: Callable[[bytes], Event],
    should_stop: Callable[[], bool],
    deadline: float,
    late: str,
) -> Iterator[Event]:
    """Yield the child's events until it ends.

    Args:
        read_event: parses one line; raises ValueError for a line that is no event.
        deadline: by `time.monotonic`.
        late: message of the error after the deadline.

    Raises:
        ClaimLost: `should_stop` returned True.
        SourceUnavailable: the deadline has passed.
        DownloadCrashed: the child wrote something else than events.
    """
    assert child.stdout is not None
    descriptor, incomplete = child.stdout.fileno(), b""
    while True:
        if should_stop():
            raise ClaimLost("The download was stopped.")
        if time.monotonic() > deadline:
            raise SourceUnavailable(late)
        if not readable([descriptor], POLL_S):
            continue
        data = os.read(descriptor, 1 << 16)
        if not data:
            return
        *lines, incomplete = (incomplete + data).split(b"\n")
        for line in lines:
            try:
                event = read_event(line)
            except ValueError as error:
                _log.error("a yt-dlp process wrote a line that is no event: %s", error)
                raise DownloadCrashed("The download ended unexpectedly. Try again.") from None
            yield event


def failure_of(event: Failed, traffic: Traffic) -> YtcaptionError:
    """Return the child's error, or a better one where the egress proxy knows the cause."""
    kinds = {kind.code: kind for kind in YtcaptionError.kinds()}
    error = kinds.get(event.code, SourceError)(event.message)
    error.retry_after_s = event.retry_after_s
    if not isinstance(error, SourceError | InputError):
        return error
    if traffic.too_many_bytes:
        return MediaTooLarge("The server sent more bytes than this installation allows.")
    return known_better(error, traffic)


def known_better(error: YtcaptionError, traffic: Traffic) -> YtcaptionError:
    """Return the cause of the failure as the egress proxy saw it; else the error itself."""
    if traffic.refused:
        return BlockedAddress(f"The link leads to a refused address: {traffic.refused[-1]}.")
    if not isinstance(error, SourceUnavailable):
        return error
    if traffic.upstream.errors:
        return ProxyUnavailable(
            "A proxy of this installation does not work. The next attempt uses another one, if "
            "there is one."
        )
    if traffic.offline is not None:
        return NetworkUnavailable(
            f"This machine has no connection: {traffic.offline}. Check its network and its name "
            "servers. It is tried again for an hour."
        )
    if traffic.unreachable:
        return SourceUnavailable(
            f"The server cannot be reached: {traffic.unreachable[-1]}. Check the link, and this "
            "machine's internet connection and DNS."
        )
    return error
