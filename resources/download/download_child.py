"""The process that runs yt-dlp: a job on stdin, JSON lines on stdout.

It does one download into the working folder and ends when its parent does. All it can reach is the
egress proxy, all it can start is deno, and memory and file size are limited by the kernel.
"""

import json
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from resources.download.resume import REFERENCE_FILE, TRACK_FILE
from ytcaption.domain.errors import YtcaptionError

if TYPE_CHECKING:
    from ytcaption.domain.caption_choice import CaptionChoice
    from ytcaption.domain.captions.track_segments import CaptionReference, CaptionTrack
    from ytcaption.domain.media.media import MediaInfo

MEMORY_BYTES = 2 * 1024**3
REPORT_EVERY_S = 0.2
DENO_FILE_BYTES = 16 * 1024**2  # its own cache
_PROGRAMS = ("os.system", "os.exec", "os.posix_spawn", "os.spawn", "pty.spawn", "os.startfile")


def main() -> None:
    """One download."""
    serve(run)


def serve(work: Callable[[dict[str, Any], Callable[..., None]], dict[str, Any]]) -> None:
    """Read the job, carry it out, and report each step and the outcome.

    Args:
        work: is given the job and a function that reports a step; gives the final event.
    """
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM, signal.SIGINT})
    # What yt-dlp or a library prints must not mix with the report.
    report = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)
    order = json.loads(sys.stdin.buffer.readline())
    threading.Thread(target=end_with_parent, daemon=True).start()
    limit_resources(order["max_bytes"])
    lock = threading.Lock()

    def tell(**event: Any) -> None:
        with lock:
            report.write(json.dumps(event) + "\n")

    try:
        tell(**work(order, tell))
    except BaseException as failure:  # the parent hears of everything, out of memory too
        error = known_error(failure)
        wait_s = error.retry_after_s
        tell(event="failed", code=error.code, message=str(error), retry_after_s=wait_s)
    report.flush()
    os._exit(0)  # no waiting for threads of a library


def run(order: dict[str, Any], tell: Callable[..., None]) -> dict[str, Any]:
    """Carry out one job; the final event."""
    deno = deno_path()
    only_proxy_and_deno(urlsplit(order["proxy"]).port or 0, deno)

    from resources.download.caption_tracks import caption_offers
    from resources.download.captions import fetch_captions, fetch_reference
    from resources.download.description import media_info
    from resources.download.extensions import extension_of
    from resources.download.media_downloader import MediaDownloader, progress_hook
    from resources.download.po_token import load_provider
    from resources.download.ytdlp_options import DownloadJob
    from ytcaption.domain.caption_choice import CaptionsWanted

    wanted, measured_by = (
        CaptionsWanted(**order[name]) if order[name] is not None else None
        for name in ("captions", "reference")
    )
    job = DownloadJob(**{**order, "captions": wanted, "reference": measured_by})
    told_at = 0.0

    def progress(done: int, total: int | None) -> None:
        nonlocal told_at
        now = time.monotonic()
        if now - told_at >= REPORT_EVERY_S or done == total:
            told_at = now
            tell(event="progress", done=done, total=total)

    keys = load_provider(job.po_token_provider) if job.po_token_provider else []
    with MediaDownloader(job, deno, keys) as downloader:
        downloader.add_progress_hook(progress_hook(progress, downloader))
        try:
            found = downloader.find()
            stated = found.get("ext")
            info = media_info(found, job.url, direct=job.kind == "direct")
            choice = reference = None
            if wanted is not None or measured_by is not None:
                info = replace(info, captions=caption_offers(found))
            if wanted is not None:
                choice, track = fetch_captions(downloader, found, info, wanted)
                if track is not None or not job.with_audio:
                    return _captions(info, choice, track)
            if measured_by is not None:
                reference = fetch_reference(downloader, found, info, measured_by)
            tell(event="found")
            path = downloader.fetch(found)
        except Exception as failure:
            error = known_error(failure, downloader.warnings)
            error.retry_after_s = downloader.retry_after_s
            raise error from failure
    return {
        "event": "done",
        "extension": extension_of(path, stated),
        "info": info.to_dict(),
        "choice": choice.to_dict() if choice is not None else None,
        "size_bytes": path.stat().st_size,
        "reference": _kept(reference) if reference is not None else None,
    }


def _captions(
    info: "MediaInfo", choice: "CaptionChoice", track: "CaptionTrack | None"
) -> dict[str, Any]:
    """The final event without audio; the track lies in the working folder."""
    if track is not None:
        Path(TRACK_FILE).write_bytes(track.data)
    return {
        "event": "captions",
        "extension": track.extension if track is not None else None,
        "info": info.to_dict(),
        "choice": choice.to_dict(),
    }


def _kept(reference: "CaptionReference") -> dict[str, str]:
    """What is told of captions beside the audio; they lie in the working folder."""
    Path(REFERENCE_FILE).write_bytes(reference.track.data)
    return {"extension": reference.track.extension, "language": reference.language}


def deno_path() -> str | None:
    """The binary of the wheel `deno`; None where the wheel is missing."""
    try:
        from deno import find_deno_bin

        return str(Path(find_deno_bin()).resolve())
    except (ImportError, FileNotFoundError):
        return None


def end_with_parent() -> None:
    """Wait for the end of stdin, then end this process and all it started."""
    while sys.stdin.buffer.read(1):
        pass
    os.killpg(os.getpgid(0), signal.SIGKILL)


def limit_resources(max_bytes: int) -> None:
    """Cap memory (a page can unpack to gigabytes) and the size of every file written."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))
    # The byte after the last allowed one fails the write with EFBIG; its signal would kill us.
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    file_bytes = max(max_bytes, DENO_FILE_BYTES)
    resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes))


def only_proxy_and_deno(proxy_port: int, deno: str | None) -> None:
    """From here on this interpreter connects to the proxy and starts deno, nothing else.

    yt-dlp goes by its options; this holds when an option, a handler or a downloader does not.
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
    """What a person is told of a failure."""
    if isinstance(failure, YtcaptionError):
        return failure
    from resources.download.errors import error_of

    return error_of(failure, warnings)


if __name__ == "__main__":
    main()
