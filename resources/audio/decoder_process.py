"""Runs `decoder_child.py` within limits and turns its failures into our errors."""

import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from resources.audio.container import is_cut_short
from resources.audio.samples import SAMPLE_RATE_HZ
from resources.processes.forked_child import Child, ForkedChild
from ytcaption.domain.errors import (
    AudioTruncated,
    AudioUndecodable,
    ClaimLost,
    DiskFull,
    NoAudioTrack,
    NotMedia,
    OutOfMemory,
    YtcaptionError,
)

logger = logging.getLogger(__name__)

PROBE_S = 60
"""Time limit for reading a file's headers."""

CONTAINERS = (
    "aac,ac3,ac4,act,aea,aiff,amr,amrnb,amrwb,ape,asf,asf_o,au,avi,avr,caf,dsf,dss,dts,dtshd,dv,"
    "eac3,flac,flv,gsm,gxf,ircam,iff,ivf,kux,lc3,live_flv,loas,lxf,matroska,mlp,mov,mp3,mp4,mpc,"
    "mpc8,mpeg,mpegts,mxf,nistsphere,nsv,nut,ogg,oma,pva,qcp,qoa,rm,sln,smjpeg,sox,spdif,swf,tak,"
    "truehd,tta,tty,voc,vqf,w64,wav,webm,wsd,wtv,wv,xwma,gif,apng,jpeg_pipe,png_pipe,webp_pipe"
)
"""FFmpeg's demuxers that read one file and no other. Playlists (hls, dash, concat, image2 ...),
devices and network formats are not listed: those open whatever the file names. Pictures are, so
that they are distinguished from files that are no media at all."""

CUT_SHORT = (
    "The file ends before its audio does; it was probably cut off while being copied or "
    "downloaded. Download or copy it again."
)
NO_ROOM = "No space is left on the disk for the decoded audio. Free some space."
_NOT_AUDIO = "Give an audio or video file such as mp3, m4a, wav, flac, ogg, mp4, mkv or webm."
_TOO_SLOW = (
    "Decoding the audio took longer than is allowed. The file is damaged or made to be slow; "
    "convert it, for example to WAV, and try again."
)

_CHILD = Path(__file__).with_name("decoder_child.py")
_POLL_S = 0.05

_ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1", "LANG": "C.UTF-8"}
"""Contains none of our secrets; one thread, or OpenBLAS uses up the address space."""


def run_decoder(
    path: Path,
    *,
    memory_bytes: int,
    wall_s: float,
    max_audio_s: float = 0.0,
    sample_rate_hz: int = SAMPLE_RATE_HZ,
    output: IO[bytes] | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    server: Path | None = None,
) -> dict[str, Any]:
    """Run the child and return its result.

    Args:
        server: Unix socket of a child server; a new interpreter is started if none answers.

    Raises:
        YtcaptionError: the child's error, or why there is no result.
    """
    descriptor = output.fileno() if output is not None else None
    request = {
        "path": str(path.absolute()),
        "formats": CONTAINERS,
        "output": descriptor,
        "max_audio_s": max_audio_s,
        "sample_rate_hz": sample_rate_hz,
        "limits": {
            "memory_bytes": memory_bytes,
            "cpu_s": max(1, int(wall_s)),
            "file_bytes": int((max_audio_s + 60) * sample_rate_hz * 4),
            "parent_pid": os.getpid(),
        },
    }
    child = _child(request, descriptor, server)
    try:
        _wait(child, wall_s, should_stop)
        assert child.stdout is not None
        text = child.stdout.read()
    finally:
        child.kill()
        exit_code = child.wait()
        if child.stdout is not None:
            child.stdout.close()
    if isinstance(child, ForkedChild) and child.is_lost:
        if output is not None:
            output.seek(0)
            output.truncate()
        return run_decoder(
            path,
            memory_bytes=memory_bytes,
            wall_s=wall_s,
            max_audio_s=max_audio_s,
            sample_rate_hz=sample_rate_hz,
            output=output,
            should_stop=should_stop,
        )
    result = json.loads(text) if text else {"error": "died", "detail": f"{exit_code}"}
    if "error" in result:
        raise _error(path, result, exit_code)
    return result


def _child(
    request: dict[str, Any], descriptor: int | None, server: Path | None
) -> "subprocess.Popen[bytes] | ForkedChild":
    argument = json.dumps(request)
    descriptors = () if descriptor is None else (descriptor,)
    forked = server and ForkedChild.start(
        server, "decode", environment=_ENVIRONMENT, descriptors=descriptors
    )
    if forked:
        assert forked.stdin is not None
        with suppress(BrokenPipeError), forked.stdin:
            forked.stdin.write(argument.encode() + b"\n")
        return forked
    return subprocess.Popen(
        [sys.executable, "-I", str(_CHILD), argument],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        pass_fds=descriptors,
        env=_ENVIRONMENT,
    )


def _wait(child: Child, wall_s: float, should_stop: Callable[[], bool]) -> None:
    deadline = time.monotonic() + wall_s
    while True:
        try:
            child.wait(timeout=_POLL_S)
            return
        except subprocess.TimeoutExpired:
            if should_stop():
                raise ClaimLost("The transcription was canceled or taken over.") from None
            if time.monotonic() > deadline:
                raise AudioUndecodable(_TOO_SLOW) from None


def _error(path: Path, result: dict[str, Any], returncode: int) -> YtcaptionError:
    code = result["error"]
    logger.info("the audio decoder failed with %s: %.200s", code, result.get("detail", ""))
    if code in ("not_media", "no_audio_track", "unknown_codec") and is_cut_short(path):
        return AudioTruncated(CUT_SHORT)
    if code == "not_media":
        return NotMedia(f"This is not a readable media file. {_NOT_AUDIO}")
    if code == "no_audio_track":
        return NoAudioTrack("There is no sound in this file: it has no audio track.")
    if code == "unknown_codec":
        return AudioUndecodable("The audio track is in a format that no decoder here supports.")
    if code == "memory":
        return AudioUndecodable(
            "Decoding the audio needs more memory than YTCAPTION_DECODE_MEMORY_BYTES allows. The "
            "operator of this installation can raise it."
        )
    if code == "disk_full":
        return DiskFull(NO_ROOM)
    if returncode == -signal.SIGXCPU:
        return AudioUndecodable(_TOO_SLOW)
    if returncode == -signal.SIGKILL:  # by the kernel: the limits above end it otherwise
        return OutOfMemory(
            "The system ended the decoder, most likely because this machine has too little memory. "
            "Free some, or lower YTCAPTION_TRANSCRIPTION_SLOTS."
        )
    return AudioUndecodable(
        "The audio cannot be decoded: the decoder failed on this file. Convert it, for example to "
        "WAV, and try again."
    )
