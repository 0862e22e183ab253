"""Make a home with unfinished work in it, by the code of an older commit, for tests/system.

    python -m tests.data.homes.make_home CHECKOUT FOLDER --models MODELS

CHECKOUT is a checkout of that commit with its virtual environment in `.venv`, MODELS a folder that
holds `tiny.en`. Every process of the older `ytcaption up` is killed while one recording is being
transcribed and others wait, and FOLDER receives

    databases.sql.gz  what pg_dumpall writes: roles, and the databases of ytcaption and Dagster
    home.tar.gz       the home's other files, without logs and models
    work.json         ids by what they were at the end, and the finished recording's transcript

with `@HOME@` and `@PYTHON@` for the home and the interpreter.
"""

import argparse
import gzip
import io
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import psutil

from resources.postgres.embedded import running_postgres
from resources.postgres.programs import programs_folder
from resources.postgres.urls import PORT, SUPERUSER, socket_folder
from tests.support.paths import DATA
from ytcaption.settings.settings import Settings
from ytcaption_assets.cli.up.orphans import orphan_processes

FINISHED, TRANSCRIBED, *QUEUED = (
    "fleurs-en-004.ogg",
    "fleurs-en-003.ogg",
    "fleurs-en-000.ogg",
    "weather-mulaw-8k.wav",
    "fleurs-en-002.ogg",
)
NOT_YET_SEEN = "silence-digital-20s.flac"
CHANNEL, WEBHOOK = "https://www.youtube.com/@NASA", "https://93.184.216.34/hook"
LEFT_OUT = {"logs", "models", "postgres", "postgres.log", "run"}


class OldUp:
    """An `up` of the older code."""

    def __init__(self, checkout: Path, home: Path, models: Path) -> None:
        self.home = home
        self.lines: list[str] = []
        settings = {
            "YTCAPTION_HOME": home,
            "YTCAPTION_MODEL": "tiny.en",
            "YTCAPTION_MODEL_DIRECTORY": models,
            "YTCAPTION_EMBEDDINGS": "off",
            "YTCAPTION_API_PORT": 0,
            "YTCAPTION_WEBSERVER_PORT": 0,
            "YTCAPTION_TRANSCRIPTION_SLOTS": 1,
            "YTCAPTION_DOWNLOAD_SLOTS": 1,
        }
        self._process = subprocess.Popen(
            [str(checkout / ".venv/bin/python"), "-m", "ytcaption_assets.cli.main", "up"],
            cwd=checkout,
            env=os.environ | {name: str(value) for name, value in settings.items()},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        threading.Thread(target=self._read, daemon=True).start()
        wait_for(lambda: any("everything is ready" in line for line in self.lines))
        state = json.loads((home / "up.json").read_text())
        self.api = httpx.Client(base_url=f"http://127.0.0.1:{state['api_port']}", timeout=30)
        self.pids = {each["name"]: each["pid"] for each in state["processes"]}

    def _read(self) -> None:
        assert self._process.stdout is not None
        self.lines.extend(iter(self._process.stdout.readline, ""))

    def upload(self, name: str) -> str:
        """Return the id of a transcription of a file."""
        response = self.api.post(
            "/api/v1/uploads",
            params={"filename": name, "language": "en"},
            content=(DATA / name).read_bytes(),
        ).raise_for_status()
        return response.json()["id"]

    def post(self, path: str, **body: object) -> dict[str, Any]:
        """Return the API's answer."""
        response = self.api.post(path, json=body)
        assert response.is_success, response.text
        return response.json()

    def read(self, transcription_id: str) -> dict[str, Any]:
        """Return the API's view of a transcription."""
        response = self.api.get(f"/api/v1/transcriptions/{transcription_id}").raise_for_status()
        return response.json()

    def suspend(self, name: str) -> None:
        """Suspend a process of `up` and all below it."""
        process = psutil.Process(self.pids[name])
        for each in (process, *process.children(recursive=True)):
            each.suspend()

    def kill(self) -> None:
        """Kill every process of it by SIGKILL, the supervisor first."""
        self._process.kill()
        self._process.wait()
        while processes := orphan_processes(self.home):
            for process in processes:
                process.kill()
            time.sleep(0.1)
        for process in psutil.process_iter(["name"]):
            with suppress(psutil.Error):  # it has just died with its parent
                if process.info["name"] == "postgres" and self.home.as_posix() in process.cwd():
                    process.kill()


def wait_for(condition: Callable[[], object], seconds: float = 300) -> None:
    """Wait until the condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def do_work(up: OldUp) -> dict[str, Any]:
    """Finish one transcription and begin others; return their ids and the transcript."""
    finished = up.upload(FINISHED)
    wait_for(lambda: up.read(finished)["status"] == "completed")
    text = up.api.get(f"/api/v1/transcriptions/{finished}/result?format=txt").text
    # Found once it is in the lake.
    wait_for(lambda: up.api.get("/api/v1/search?q=dinosaurs").json()["items"])
    up.suspend("worker-0")
    running = up.upload(TRANSCRIBED)
    wait_for(lambda: up.read(running)["stage"] == "transcription")
    queued = [up.upload(name) for name in QUEUED]
    wait_for(lambda: any(up.read(each)["status"] == "running" for each in queued))
    canceled = queued.pop()
    up.api.post(f"/api/v1/transcriptions/{canceled}/cancel").raise_for_status()
    wait_for(lambda: up.read(canceled)["status"] == "canceled")
    up.suspend("daemon")
    queued.append(up.upload(NOT_YET_SEEN))
    channel = up.post("/api/v1/channels", url=CHANNEL, paused=True)["id"]
    webhook = up.post("/api/v1/webhooks", url=WEBHOOK, events=["transcription.failed"])["id"]
    secret = up.api.get(f"/api/v1/webhooks/{webhook}/secret").raise_for_status().json()["secret"]
    states = {each: up.read(each) for each in (finished, running, *queued, canceled)}
    for each, state in states.items():
        print(each, state["status"], state["stage"])  # noqa: T201
    return {
        "made_at": int(time.time()),
        "finished": finished,
        "canceled": canceled,
        "unfinished": [running, *queued],
        "channel": channel,
        "webhook": webhook,
        "webhook_secret": secret,
        "transcript": text,
    }


def dump(home: Path, hide: Callable[[str], str]) -> bytes:
    """Return the databases as SQL, compressed."""
    settings = Settings(home=home, _env_file=None)  # pyright: ignore[reportCallIssue]
    with running_postgres(settings):
        command = [
            *(str(programs_folder() / "pg_dumpall"), "-h", str(socket_folder(settings))),
            *("-p", PORT, "-U", SUPERUSER),
        ]
        text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    # The superuser is there in each new server.
    text = text.replace(f"CREATE ROLE {SUPERUSER};\n", "")
    return gzip.compress(hide(text).encode(), 9, mtime=0)


def pack(home: Path, hide: Callable[[str], str]) -> bytes:
    """Return the home's other files as a compressed tar file."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for path in sorted(home.rglob("*")):
            name = path.relative_to(home)
            if name.parts[0] in LEFT_OUT or "logs" in name.parts or not path.is_file():
                continue
            content = path.read_bytes()
            if path.suffix == ".yaml":
                content = hide(content.decode()).encode()
            entry = tarfile.TarInfo(name.as_posix())
            entry.size, entry.mode = len(content), path.stat().st_mode & 0o777
            archive.addfile(entry, io.BytesIO(content))
    return gzip.compress(packed.getvalue(), 9, mtime=0)


def main() -> None:
    """Make the home and write it into the folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkout", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--models", type=Path, required=True)
    options = parser.parse_args()
    root = Path(tempfile.mkdtemp(prefix="ytcold", dir="/tmp"))  # short, as socket paths must be
    home, checkout = root / "home", options.checkout.absolute()
    up = OldUp(checkout, home, options.models)

    def hide(text: str) -> str:
        text = text.replace(str(home), "@HOME@")
        text = text.replace(str(checkout / ".venv/bin/python"), "@PYTHON@")
        return text.replace(str(checkout), "@CHECKOUT@").replace(os.uname().nodename, "machine")

    try:
        work = do_work(up)
    finally:
        up.kill()
    options.folder.mkdir(parents=True, exist_ok=True)
    (options.folder / "databases.sql.gz").write_bytes(dump(home, hide))
    (options.folder / "home.tar.gz").write_bytes(pack(home, hide))
    (options.folder / "work.json").write_text(json.dumps(work, indent=2) + "\n")
    shutil.rmtree(root)


if __name__ == "__main__":
    main()
