"""Receiving a file takes little memory, whatever its size."""

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

from resources.object_store.store import ObjectStore
from tests.api.uploads.bodies import BOUNDARY, FILE, FORM, UPLOADS, form
from tests.support.patience import wait_for
from tests.support.servers.live_api import answers
from ytcaption.settings.settings import Settings

MOST_MIB = {"folder": 200, "s3": 250}
"""Of the server's process; dagster-aws and boto3 take 47 MiB as soon as they are imported."""


def silence_wav(size_bytes: int) -> Iterator[bytes]:
    """Yield a WAV file of silence, block by block."""
    data_bytes = size_bytes - 44
    yield b"RIFF" + struct.pack("<I", data_bytes + 36) + b"WAVEfmt "
    yield struct.pack("<IHHIIHH", 16, 1, 2, 48_000, 192_000, 4, 16) + b"data"
    yield struct.pack("<I", data_bytes)
    block = bytes(1024**2)
    while data_bytes > 0:
        yield block[:data_bytes]
        data_bytes -= len(block)


@pytest.fixture(params=["folder", pytest.param("s3", marks=pytest.mark.slow)])
def store(
    request: pytest.FixtureRequest, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> ObjectStore:
    """Return the object store that receives the file."""
    if request.param == "folder":
        return request.getfixturevalue("object_store")
    bucket: ObjectStore = request.getfixturevalue("s3_object_store")
    monkeypatch.setenv("YTCAPTION_OBJECT_STORE_URL", bucket.url)
    monkeypatch.setenv("YTCAPTION_S3_ENDPOINT_URL", bucket.endpoint_url or "")
    return bucket


@pytest.fixture
def server_process(store: ObjectStore, tmp_path: Path) -> Iterator[tuple[str, psutil.Process]]:
    """Run the app in a process of its own, as `ytcaption serve` does."""
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
        wait_for(lambda: answers(url), 60, (tmp_path / "log").read_text)
        yield url, psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(20)


def peak_rss(process: psutil.Process) -> int:
    """Return the peak memory of a process in bytes."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


@pytest.mark.long
def test_a_large_upload_takes_little_memory(
    server_process: tuple[str, psutil.Process], store: ObjectStore
) -> None:
    """150 MiB in a form and bare: the process stays under 200 MiB, or 250 with S3's client.
    YTC_UPLOAD_MIB sets another size: 1,024 MiB took 164 MiB, 154 of them at rest."""
    url, process = server_process
    size_bytes = int(os.environ.get("YTC_UPLOAD_MIB", "150")) * 1024**2
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
    (key,) = store.list()
    with store.local_file(key) as path:
        assert path.stat().st_size == size_bytes
    peak = peak_rss(process)
    speed = size_bytes / took_s / 1024**2
    summary = f"{peak >> 20} MiB at most, {before >> 20} at rest; {speed:.0f} MiB/s"
    assert peak >> 20 < MOST_MIB["folder" if store.folder else "s3"], summary
