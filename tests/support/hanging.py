"""A fault injected into a copy of the code: some transcriptions hang."""

from pathlib import Path

from tests.support.servers.media_server import (
    DATA,
    MediaServer,
)

HELD, HANGS = "held.flac", "hangs.flac"
"""Clips. The transcription of the first waits as long as there is a file, its heartbeats go on;
that of the other holds the interpreter's lock: no thread and no signal handler of its run goes on.
"""

_START = "\n    started_at = time.perf_counter()\n"
_HANG = """
    if str(work.media.source.url).partition("?")[0].endswith("/{hangs}"):
        __import__("ctypes").PyDLL(None).sleep(600)
    while "/{held}" in str(work.media.source.url) and __import__("os").path.exists({hold!r}):
        time.sleep(0.1)
"""


def let_hang(code: Path, hold: Path) -> None:
    """Change the copy, before anything has imported it.

    Args:
        code: folder of the copied packages.
        hold: as long as it exists, what is held hangs.
    """
    file = code / "ytcaption_assets" / "assets" / "transcription.py"
    before, start, after = file.read_text().partition(_START)
    assert start, "the code has changed"
    hang = _HANG.format(hangs=HANGS, held=HELD, hold=str(hold))
    file.write_text(before + hang + start.lstrip("\n") + after)


def serve_hanging(server: MediaServer) -> None:
    """Serve both clips."""
    for name in (HELD, HANGS):
        server.serve(name, (DATA / "jfk.flac").read_bytes())
