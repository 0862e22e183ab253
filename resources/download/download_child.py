"""The process that runs yt-dlp: one job on its standard input, events on its standard output.

It does one download into its working folder and ends when its parent does. It can reach nothing
but the egress proxy and start nothing but deno; the kernel limits its memory and the size of its
files.
"""

import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar
from urllib.parse import urlsplit

from resources.download.protocol import (
    AudioDone,
    CaptionsDone,
    DownloadEvent,
    DownloadJob,
    Failed,
    MediaFound,
    Message,
    Progress,
    ReferenceFile,
    encode,
    read_download_job,
)
from resources.download.resume import REFERENCE_FILE, TRACK_FILE
from ytcaption.domain.errors import YtcaptionError

if TYPE_CHECKING:
    from ytcaption.domain.caption_choice import CaptionChoice
    from ytcaption.domain.captions.track_segments import CaptionReference, CaptionTrack
    from ytcaption.domain.media.media import MediaInfo

MEMORY_BYTES = 2 * 1024**3
REPORT_EVERY_S = 0.2
DENO_FILE_BYTES = 16 * 1024**2  # deno's own cache
_PROGRAMS = ("os.system", "os.exec", "os.posix_spawn", "os.spawn", "pty.spawn", "os.startfile")

Report = Callable[[Message], None]
"""Sends one event to the parent."""


class Job(Protocol):
    """What every job states."""

    @property
    def max_bytes(self) -> int:
        """Size of the largest file that the process may write."""
        ...


JobT = TypeVar("JobT", bound=Job)


def main() -> None:
    """Carry out one download."""
    serve(read_download_job, run)


def serve(read_job: Callable[[bytes], JobT], work: Callable[[JobT, Report], Message]) -> None:
    """Read the job, carry it out, and report each step and the outcome.

    Args:
        read_job: parses the line that the parent wrote.
        work: gets the job and a function that reports a step; returns the final event.
    """
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM, signal.SIGINT})
    # The report gets a descriptor of its own: yt-dlp and libraries may print to standard output.
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    job = read_job(sys.stdin.buffer.readline())
    threading.Thread(target=end_with_parent, daemon=True).start()
    limit_resources(job.max_bytes)
    lock = threading.Lock()

    def report(event: Message) -> None:
        with lock:
            output.write(encode(event))
            output.flush()

    try:
        report(work(job, report))
    except BaseException as failure:  # the parent learns of every failure, of MemoryError too
        error = known_error(failure)
        report(Failed(error.code, str(error), error.retry_after_s))
    os._exit(0)  # without waiting for the threads of a library


def run(job: DownloadJob, report: Report) -> DownloadEvent:
    """Carry out one job and return the final event."""
    deno = deno_path()
    only_proxy_and_deno(urlsplit(job.proxy).port or 0, deno)

    from resources.download.caption_tracks import caption_offers
    from resources.download.captions import fetch_captions, fetch_reference
    from resources.download.description import media_info
    from resources.download.extensions import extension_of
    from resources.download.media_downloader import MediaDownloader, progress_hook
    from resources.download.po_token import load_provider

    reported_at = 0.0

    def progress(done: int, total: int | None) -> None:
        nonlocal reported_at
        now = time.monotonic()
        if now - reported_at >= REPORT_EVERY_S or done == total:
            reported_at = now
            report(Progress(done, total))

    provider = job.identity.po_token_provider
    provider_keys = load_provider(provider) if provider else []
    with MediaDownloader(job, deno, provider_keys) as downloader:
        downloader.add_progress_hook(progress_hook(progress, downloader))
        try:
            info_dict = downloader.find()
            stated = info_dict.get("ext")
            info = media_info(info_dict, job.url, direct=job.kind == "direct")
            choice = reference = None
            if job.captions is not None or job.reference is not None:
                info = replace(info, captions=caption_offers(info_dict))
            if job.captions is not None:
                choice, track = fetch_captions(downloader, info_dict, info, job.captions)
                if track is not None or not job.with_audio:
                    return _captions_done(info, choice, track)
            if job.reference is not None:
                reference = fetch_reference(downloader, info_dict, info, job.reference)
            report(MediaFound())
            path = downloader.fetch(info_dict)
        except Exception as failure:
            error = known_error(failure, downloader.warnings)
            error.retry_after_s = downloader.retry_after_s
            raise error from failure
    return AudioDone(
        extension_of(path, stated),
        info,
        path.stat().st_size,
        choice,
        _written_reference(reference) if reference is not None else None,
    )


def _captions_done(
    info: "MediaInfo", choice: "CaptionChoice", track: "CaptionTrack | None"
) -> CaptionsDone:
    """Write the track into the working folder and return the final event."""
    if track is not None:
        Path(TRACK_FILE).write_bytes(track.data)
    return CaptionsDone(info, choice, track.extension if track is not None else None)


def _written_reference(reference: "CaptionReference") -> ReferenceFile:
    """Write the captions beside the audio into the working folder."""
    Path(REFERENCE_FILE).write_bytes(reference.track.data)
    return ReferenceFile(reference.track.extension, reference.language)


def deno_path() -> str | None:
    """Return the path of the binary in the wheel `deno`; None without the wheel."""
    try:
        from deno import find_deno_bin

        return str(Path(find_deno_bin()).resolve())
    except (ImportError, FileNotFoundError):
        return None


def end_with_parent() -> None:
    """Wait until standard input ends, then kill this process and all it started."""
    while sys.stdin.buffer.read(1):
        pass
    os.killpg(os.getpgid(0), signal.SIGKILL)


def limit_resources(max_bytes: int) -> None:
    """Limit memory (a page can unpack to gigabytes) and the size of every file written."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))
    # A write past the limit fails with EFBIG; by default its signal would kill the process.
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    file_bytes = max(max_bytes, DENO_FILE_BYTES)
    resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes))


def only_proxy_and_deno(proxy_port: int, deno: str | None) -> None:
    """Let this interpreter connect to the proxy and start deno, and nothing else.

    yt-dlp keeps to its options; this holds even if an option, a handler or a downloader does not.
    """

    def check(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "socket.connect":
            if arguments[1] != ("127.0.0.1", proxy_port):
                raise PermissionError("only the egress proxy may be connected to")
        elif event == "socket.getaddrinfo":
            if arguments[0] != "127.0.0.1":
                raise PermissionError("names are resolved by the egress proxy")
        elif event == "subprocess.Popen":
            program = arguments[0] or arguments[1][0]
            if deno is None or str(Path(os.fsdecode(program)).resolve()) != deno:
                raise PermissionError("only deno may be started")
        elif event in _PROGRAMS:
            raise PermissionError("no program may be started")

    sys.addaudithook(check)


def known_error(failure: BaseException, warnings: Sequence[str] = ()) -> YtcaptionError:
    """Return the failure as an error that can be shown to a person.

    Args:
        warnings: that yt-dlp gave before it.
    """
    if isinstance(failure, YtcaptionError):
        return failure
    from resources.download.errors import error_of

    return error_of(failure, warnings)


if __name__ == "__main__":
    main()
