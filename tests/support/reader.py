"""Somebody who follows the documentation on this machine, beside a running `ytcaption up`."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx

from tests.support.documents import blocks
from tests.support.patience import patience, wait_for
from tests.support.preloaded_command import install
from tests.support.servers.public_hosts import PublicHosts, public_hosts
from ytcaption_assets.cli.up.state import read_state

PAGE_S = 120
API = "http://127.0.0.1:8000"
_MAKE = """#!/bin/sh
# What is installed here is not to be installed again.
exec {make} -o .venv/.installed -o .venv/.developed -o .venv/bin/python "$@"
"""


class Reader:
    """The reader.

    Attributes:
        api: where the API is.
        hosts: the public hosts that the installation reaches.
    """

    def __init__(self, folder: Path, environment: dict[str, str], hosts: PublicHosts) -> None:
        self.folder = folder
        self.environment = environment
        self.hosts = hosts
        self.api = self.dagster = ""
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *options: str) -> None:
        """Start `up` and wait until it is ready."""
        log = self.folder / "up.log"
        with log.open("wb") as out:
            self._process = subprocess.Popen(
                [Path(sys.executable).with_name("ytcaption"), "up", *options],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        process = self._process
        wait_for(
            lambda: b"everything is ready" in log.read_bytes() or process.poll() is not None,
            240,
            log.read_text,
        )
        assert process.poll() is None, log.read_text()
        state = read_state(Path(self.environment["YTCAPTION_HOME"]))
        assert state is not None
        self.api = f"http://127.0.0.1:{state.api_port}"
        self.dagster = f"http://127.0.0.1:{state.webserver_port}"
        self.environment["API"] = self.api  # of examples/api.sh

    def stop(self) -> None:
        """Stop it as Ctrl-C does."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(60)

    def transcribe(self, url: str) -> str:
        """Have a link transcribed; its id once it is completed."""
        with self._client() as client:
            return self._wait(client, client.post("/api/v1/transcriptions", json={"url": url}))

    def upload(self, file: Path, title: str) -> str:
        """Have a file transcribed under this title; its id once it is completed."""
        with self._client() as client:
            answer = client.post(
                "/api/v1/uploads", params={"filename": title}, content=file.read_bytes()
            )
            return self._wait(client, answer)

    def follow(self, page: Path, directory: Path, languages: Collection[str]) -> None:
        """Run the page's blocks.

        Raises:
            AssertionError: one failed; with what it printed.
        """
        to_run = [each for each in blocks(page, "sh") if each.reason is None]
        script = "set -eu -o pipefail\n" + "\n".join(
            f"echo '@@ {each.place}' >&2\n{self._here(each.text)}" for each in to_run
        )
        if to_run:
            self._run(["bash", "-c", script], directory, page)
        for each in blocks(page, "python") if "python" in languages else ():
            if each.reason is None:
                self._run([sys.executable, "-c", self._here(each.text)], directory, page)

    def _run(self, command: list[str], directory: Path, page: Path) -> None:
        done = subprocess.run(
            command,
            cwd=directory,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PAGE_S,
        )
        assert done.returncode == 0, f"{page}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"

    def _client(self) -> httpx.Client:
        return httpx.Client(base_url=self.api, timeout=60)

    def _wait(self, client: httpx.Client, accepted: httpx.Response) -> str:
        id = accepted.json()["id"]
        deadline = time.monotonic() + 120 * patience()
        while True:
            now = client.get(f"/api/v1/transcriptions/{id}?wait=30").json()
            if now["status"] == "completed":
                return id
            assert now["status"] != "failed" and time.monotonic() < deadline, now

    def _here(self, text: str) -> str:
        return text.replace(API, self.api)


@contextmanager
def reading(models_home: Path, *options: str) -> Iterator[Reader]:
    """A reader with an installation that runs.

    Args:
        options: of `ytcaption up`.
    """
    with ExitStack() as stack:
        # Short, since a socket's path has room for 107 bytes.
        folder = Path(tempfile.mkdtemp(prefix="ytdoc", dir="/tmp"))
        stack.callback(shutil.rmtree, folder)
        hosts, led = stack.enter_context(public_hosts(folder))
        programs = folder / "bin"
        programs.mkdir()
        make = programs / "make"
        make.write_text(_MAKE.format(make=shutil.which("make")))
        make.chmod(0o755)
        usual = {name: text for name, text in os.environ.items() if name[:10] != "YTCAPTION_"}
        places = (str(programs), str(Path(sys.executable).parent), usual["PATH"])
        settings = {
            "PATH": os.pathsep.join(places),
            "COLUMNS": "100",
            "YTCAPTION_HOME": str(folder / "home"),
            "YTCAPTION_MODEL_DIRECTORY": str(models_home),
            "YTCAPTION_EMBEDDINGS": "off",
            "YTCAPTION_BULK_PAUSE_S": "0",
            "YTCAPTION_API_PORT": "0",
            "YTCAPTION_WEBSERVER_PORT": "0",
        }
        found = Reader(folder, usual | led | settings, hosts)
        stack.callback(found.stop)
        commands = install(programs, usual | led)
        stack.callback(commands.wait)
        stack.callback(commands.terminate)
        found.start(*options)
        yield found
