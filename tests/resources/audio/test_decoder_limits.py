"""The decoder keeps its limits, whatever the file; truncated files are detected."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from resources.audio import decoder_process
from resources.audio.container import is_cut_short, stated_mp3_bytes
from resources.audio.decoder import AudioDecoder, decode, probe
from tests.support.media_files import tone, write_media
from tests.support.paths import DATA, ROOT
from tests.support.patience import patience
from ytcaption.domain.errors import (
    AudioTruncated,
    AudioUndecodable,
    ClaimLost,
    DiskFull,
    MediaTooLong,
    NotMedia,
    OutOfMemory,
)

LIMITS = {"max_audio_s": 600.0, "memory_bytes": 1 << 30}


@pytest.fixture(scope="module")
def bomb(tmp_path_factory) -> Path:
    """Return two hours of zeros as FLAC: a megabyte that decodes to 460 MB."""
    path = tmp_path_factory.mktemp("bomb") / "bomb.flac"
    return write_media(
        path, [(np.zeros((1, 7_200 * 8_000), np.int16), {})], codec="flac", rate_hz=8_000
    )


@pytest.mark.slow
def test_longer_audio_than_allowed_is_rejected_early(bomb):
    """Decoding a small file that expands to hours stops at the longest allowed audio."""
    assert bomb.stat().st_size < 2_000_000
    with pytest.raises(MediaTooLong, match="10 minutes"):
        decode(bomb, **LIMITS)


@pytest.mark.slow
def test_decoder_stays_within_its_memory(bomb):
    """Hours of samples are decoded by a process with a third of a gigabyte."""
    samples = decode(bomb, max_audio_s=10_000, memory_bytes=350 << 20)
    assert len(samples) == pytest.approx(7_200 * 16_000, abs=1_000)


def test_too_little_memory_is_reported(tmp_path):
    """A decoder that runs out of memory is an error that names the setting."""
    with pytest.raises(AudioUndecodable, match=r"YTCAPTION_DECODE_MEMORY_BYTES .* can raise it"):
        decode(DATA / "jfk.flac", max_audio_s=600, memory_bytes=120 << 20)


@pytest.mark.long
def test_a_decoder_that_the_kernel_kills_is_no_fault_of_the_file(bomb):
    """As when the machine's memory runs out: it is tried again, and nobody converts a good file."""

    def kill() -> bool:
        for process in _decoders():
            process.kill()
        return False

    with pytest.raises(OutOfMemory, match="too little memory") as caught:
        decode(bomb, max_audio_s=10_000, memory_bytes=1 << 30, should_stop=kill)
    assert caught.value.retryable and "WAV" not in str(caught.value)


def test_decoder_stops_on_request(bomb):
    """A canceled run does not wait for the end of the file, and leaves no process."""
    began = time.monotonic()
    with pytest.raises(ClaimLost):
        decode(bomb, max_audio_s=10_000, memory_bytes=1 << 30, should_stop=lambda: True)
    assert time.monotonic() - began < 5 * patience()
    assert not _decoders()


def test_decoder_that_takes_too_long_is_killed(tmp_path):
    """The wall-clock limit ends it, even while it waits without using the CPU."""
    os.mkfifo(tmp_path / "endless")
    began = time.monotonic()
    with pytest.raises(AudioUndecodable, match="longer than is allowed"):
        decoder_process.run_decoder(tmp_path / "endless", memory_bytes=1 << 30, wall_s=1.0)
    assert time.monotonic() - began < 10 * patience()
    assert not _decoders()


@pytest.mark.slow
def test_decoder_that_computes_too_long_ends_itself(tmp_path):
    """The CPU limit applies even if no other process watches the clock."""
    long = write_media(
        tmp_path / "long.flac",
        [(np.zeros((1, 2 * 7_200 * 8_000), np.int16), {})],
        codec="flac",
        rate_hz=8_000,
    )
    request = {
        "path": str(long),
        "formats": decoder_process.CONTAINERS,
        "output": 2,
        "max_audio_s": 40_000,
        "limits": {
            "memory_bytes": 1 << 30,
            "cpu_s": 1,
            "file_bytes": 1 << 30,
            "parent_pid": os.getpid(),
        },
    }
    child = Path(decoder_process.__file__).with_name("decoder_child.py")
    ended = subprocess.run(
        [sys.executable, "-I", str(child), json.dumps(request)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    assert ended.returncode == -signal.SIGXCPU


def test_full_disk_is_reported():
    """No space for the samples is a retryable error."""
    with open("/dev/full", "wb") as full, pytest.raises(DiskFull) as raised:
        decoder_process.run_decoder(DATA / "jfk.flac", output=full, wall_s=30, **LIMITS)
    assert raised.value.retryable


def test_disk_without_space_for_an_empty_file_is_reported(tmp_path, monkeypatch):
    """It is the same error, not a traceback."""

    def full(**_: object):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("resources.audio.decoder.tempfile.TemporaryFile", full)
    decoder = AudioDecoder(
        max_audio_s=60, memory_bytes=1 << 30, scratch_directory=str(tmp_path / "scratch")
    )
    with pytest.raises(DiskFull):
        decoder.decode(DATA / "jfk.flac")


def test_nothing_is_left_on_the_disk(tmp_path):
    """Samples are in a file without a name."""
    decoder = AudioDecoder(
        max_audio_s=60, memory_bytes=1 << 30, scratch_directory=str(tmp_path / "scratch")
    )
    samples = decoder.decode(DATA / "jfk.flac")
    assert list((tmp_path / "scratch").iterdir()) == []
    assert not samples.flags.writeable, "a released page would lose what was written"


@pytest.mark.long
def test_child_dies_with_its_parent(tmp_path, bomb):
    """kill -9 of the decoding process leaves no decoder running."""
    code = (
        "from pathlib import Path; from resources.audio.decoder import decode; "
        f"decode(Path({str(bomb)!r}), max_audio_s=10_000, memory_bytes=1 << 30)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT)
    children: list[psutil.Process] = []
    while not children and parent.poll() is None:
        children = psutil.Process(parent.pid).children()
        time.sleep(0.02)
    time.sleep(0.1)
    parent.kill()
    parent.wait()
    assert children
    give_up_at = time.monotonic() + patience()
    while (alive := [child for child in children if _runs(child)]) and (
        time.monotonic() < give_up_at
    ):
        time.sleep(0.02)
    assert not alive


def _runs(process: psutil.Process) -> bool:
    """Return whether it is more than a zombie that PID 1 has not reaped yet."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("list.m3u8", "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{target}\n#EXT-X-ENDLIST\n"),
        ("list.ffconcat", "ffconcat version 1.0\nfile {target}\n"),
        (
            "list.sdp",
            "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nm=audio 5004 RTP/AVP 0\n",
        ),
        (
            "list.mpd",
            '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period>'
            '<AdaptationSet mimeType="audio/mp4"><Representation id="1"><BaseURL>{target}</BaseURL>'
            "</Representation></AdaptationSet></Period></MPD>",
        ),
    ],
)
@pytest.mark.parametrize("target", ["jfk.flac", "http://127.0.0.1:9/a.wav"])
def test_file_that_names_other_files_opens_none(tmp_path, name, text, target):
    """Playlists are no media: neither a file beside them nor a server is opened through one."""
    shutil.copy(DATA / "jfk.flac", tmp_path)
    path = tmp_path / name
    path.write_text(text.format(target=target))
    with pytest.raises(NotMedia):
        probe(path, memory_bytes=1 << 30)


def test_no_secret_reaches_the_child(monkeypatch, tmp_path):
    """The decoding process has no environment of ours."""
    monkeypatch.setenv("YTCAPTION_DATABASE_URL", "postgresql://user:secret@host/db")
    seen: list[dict[str, str]] = []

    def record_environments() -> bool:
        seen.extend(each.environ() for each in _decoders())
        return bool(seen)

    with pytest.raises(ClaimLost):
        decode(DATA / "sonnet-en.mp3", should_stop=record_environments, **LIMITS)
    assert seen
    assert all("secret" not in str(each) for each in seen)


CUT = {
    "m4a": DATA / "joanis-fr.m4a",
    "mp3": DATA / "sonnet-en.mp3",
    "wav": DATA / "stereo-2spk.wav",
    "ogg": DATA / "fleurs-de-001.ogg",
    "flac": DATA / "jfk.flac",
}


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
@pytest.mark.parametrize("suffix", sorted(CUT))
def test_interrupted_download_is_detected(tmp_path, suffix, share):
    """A truncated file is not a shorter recording."""
    data = CUT[suffix].read_bytes()
    path = tmp_path / f"cut.{suffix}"
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(AudioTruncated):
        decode(path, **LIMITS)


@pytest.mark.parametrize(
    ("suffix", "codec", "options"),
    [
        ("mkv", "flac", {}),
        ("webm", "libopus", {}),
        ("mp4", "aac", {"movflags": "faststart"}),
        ("mp4", "aac", {"movflags": "frag_keyframe+empty_moov", "frag_duration": "500000"}),
    ],
)
def test_truncated_video_files_are_detected(tmp_path, suffix, codec, options):
    """Matroska and MP4 files, with the index at the beginning or in fragments."""
    whole = write_media(
        tmp_path / f"whole.{suffix}", [(tone(6.0), {})], codec=codec, options=options
    )
    assert not is_cut_short(whole)
    decode(whole, **LIMITS)
    cut = tmp_path / f"cut.{suffix}"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])
    with pytest.raises(AudioTruncated):
        probe(cut, memory_bytes=1 << 30)


@pytest.mark.long
def test_truncation_at_a_frame_boundary_is_detected(tmp_path):
    """Formats that state their number of samples have too few, though decoding does not fail."""
    whole = write_media(tmp_path / "whole.aiff", [(tone(3.0), {})], codec="pcm_s16be")
    assert len(decode(whole, **LIMITS)) == pytest.approx(48_000, abs=2)
    cut = tmp_path / "cut.aiff"
    cut.write_bytes(whole.read_bytes()[:200_000])
    with pytest.raises(AudioTruncated):
        decode(cut, **LIMITS)


def test_truncated_last_fragment_is_detected(tmp_path):
    """The number of fragments is not stated anywhere: a few missing bytes are enough."""
    whole = write_media(
        tmp_path / "whole.mp4",
        [(tone(20.0), {})],
        codec="aac",
        options={"movflags": "frag_keyframe+empty_moov", "frag_duration": "500000"},
    )
    data = whole.read_bytes()
    end = data.rindex(b"mdat") + 40  # in the last fragment; an index of fragments may follow it
    assert len(data) - end < 0.1 * len(data)
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(data[:end])
    assert is_cut_short(cut)


def test_mp3_of_estimated_duration_is_accepted(tmp_path):
    """Without a Xing header the stated duration is an estimate from the first frame's bit rate."""
    quiet_then_loud = np.concatenate([np.zeros((1, 48_000 * 4), np.int16), tone(1.0)], axis=1)
    whole = write_media(
        tmp_path / "guessed.mp3",
        [(quiet_then_loud, {})],
        codec="libmp3lame",
        options={"write_xing": "0"},
    )
    assert stated_mp3_bytes(whole) is None
    cut = tmp_path / "cut.mp3"
    cut.write_bytes(whole.read_bytes()[:-2_000])
    assert len(decode(cut, **LIMITS)) > 16_000 * 4


@pytest.mark.parametrize("size", [0, 0x7FFFFFFF, 0xFFFFFFFF])
def test_wav_of_unknown_length_is_accepted(tmp_path, size):
    """A WAV written as a stream does not state its length."""
    data = bytearray((DATA / "stereo-2spk.wav").read_bytes())
    data[4:8] = size.to_bytes(4, "little")
    at = data.index(b"data") + 4
    data[at : at + 4] = size.to_bytes(4, "little")
    path = tmp_path / "stream.wav"
    path.write_bytes(data)
    assert len(decode(path, **LIMITS)) == pytest.approx(80_000, abs=2)


def test_complete_files_are_not_reported_as_truncated():
    """Of the test data only the truncated file is."""
    for path in sorted(DATA.glob("*.*")):
        if path.suffix in (".flac", ".ogg", ".mp3", ".m4a", ".wav") and "broken" not in path.name:
            assert not is_cut_short(path), path.name


@pytest.mark.long
def test_decoding_works_in_threads():
    """Two runs in one process decode at the same time."""
    lengths: list[int] = []
    threads = [
        threading.Thread(target=lambda: lengths.append(len(decode(DATA / "jfk.flac", **LIMITS))))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert lengths == [176_000] * 3


def _decoders() -> list[psutil.Process]:
    children = psutil.Process(os.getpid()).children()
    return [each for each in children if "decoder_child.py" in " ".join(each.cmdline())]
