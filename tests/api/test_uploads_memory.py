"""However large a file is, receiving it takes little memory."""

import os
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from resources.object_store import ObjectStore
from tests.api.uploads import BOUNDARY, FILE, FORM, UPLOADS, form, until
from ytcaption_assets.settings import Settings

MOST_BYTES = 200 * 1024**2


def silence_wav(size_bytes: int) -> Iterator[bytes]:
    """A WAV file of silence, block by block."""
    data_bytes = size_bytes - 44
    yield b"RIFF" + struct.pack("<I", data_bytes + 36) + b"WAVEfmt "
    yield struct.pack("<IHHIIHH", 16, 1, 2, 48_000, 192_000, 4, 16) + b"data"
    yield struct.pack("<I", data_bytes)
    block = bytes(1024**2)
    while data_bytes > 0:
        yield block[:data_bytes]
        data_bytes -= len(block)


@pytest.fixture
def server_process(settings: Settings, tmp_path: Path) -> Iterator[tuple[str, psutil.Process]]:
    """The app in a process of its own, as `ytcaption serve` runs it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", "api.app:create_app", "--factory", "--port", f"{port}"],
        env={name: value for name, value in os.environ.items() if name != "DAGSTER_HOME"},
        stderr=(tmp_path / "log").open("wb"),
        stdout=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        assert until(lambda: answers(f"{url}/healthz"), 60), (tmp_path / "log").read_text()
        yield url, psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(20)


def answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2).is_success
    except httpx.HTTPError:
        return False


def peak_rss(process: psutil.Process) -> int:
    """Bytes, the most there was since the process began."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def test_a_large_upload_takes_little_memory(
    server_process: tuple[str, psutil.Process], object_store: ObjectStore
) -> None:
    """300 MiB in a form and bare: the process stays under 200 MiB. YTC_UPLOAD_MIB: another size."""
    url, process = server_process
    size_bytes = int(os.environ.get("YTC_UPLOAD_MIB", "300")) * 1024**2
    before = peak_rss(process)
    began = time.monotonic()

    bare = httpx.post(
        f"{url}{UPLOADS}?filename=a.wav", content=silence_wav(size_bytes), timeout=300
    )
    took_s = time.monotonic() - began
    assert bare.status_code == 202, bare.text

    def in_a_form() -> Iterator[bytes]:
        yield form((FILE, b""))[: -len(f"\r\n--{BOUNDARY}--\r\n")]
        yield from silence_wav(size_bytes)
        yield f"\r\n--{BOUNDARY}--\r\n".encode()

    formed = httpx.post(f"{url}{UPLOADS}", content=in_a_form(), headers=FORM, timeout=300)

    assert formed.json()["id"] == bare.json()["id"], formed.text
    (key,) = object_store.list()
    with object_store.local_file(key) as path:
        assert path.stat().st_size == size_bytes
    peak = peak_rss(process)
    speed = size_bytes / took_s / 1024**2
    told = f"{peak >> 20} MiB at most, {before >> 20} at rest; {speed:.0f} MiB/s"
    assert peak < MOST_BYTES, told
