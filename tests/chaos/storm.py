"""What every storm has: the product on a home of its own, and how one waits for it and ends it."""

import shutil
import signal
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import psycopg
from rich.console import Console

from resources.models.store import ensure_model
from resources.postgres.urls import database_urls
from tests.chaos import verify
from tests.chaos.clips import OPTIONS, Clip, make_clips
from tests.chaos.disk import Disk, disk
from tests.chaos.outcome import Outcome
from tests.ytcaption_assets.cli.up.test_up import Up
from ytcaption.settings import Settings, load_settings

SETTINGS = {
    "YTCAPTION_ALLOWED_NETWORKS": "127.0.0.0/8",
    "YTCAPTION_MODEL": OPTIONS.model,
    # A run that is killed costs an attempt: enough of them, so that one sees what a site did.
    "YTCAPTION_MAX_ATTEMPTS": "6",
    "YTCAPTION_DOWNLOADS_PER_SITE": "4",
    # In a batch with others words move by 20 ms, and at times another one is heard.
    "YTCAPTION_WORKER_JOBS": "1",
}
TELL_EVERY_S = 15.0
FREE_WITHIN_S = 120.0
"""After the last end all slots are free (rule 48)."""


@dataclass(frozen=True)
class House:
    """The product at work.

    Attributes:
        folder: with the recordings in `clips`.
    """

    folder: Path
    up: Up
    place: Disk
    settings: Settings
    clips: list[Clip]


class Storm(ABC):
    """One run of it.

    Args:
        count: what is asked for.
        storm_s: how long processes are killed.
        limit_s: for all of it, the making of recordings included.
    """

    def __init__(
        self, *, seed: int, count: int, storm_s: float, limit_s: float, console: Console
    ) -> None:
        self.seed, self.count, self.storm_s = seed, count, storm_s
        self.began = time.monotonic()
        self._console = console
        self._ends_at = self.began + limit_s

    @property
    def recordings(self) -> int:
        """How many different ones are made."""
        return self.count

    @abstractmethod
    def rage(self, stack: ExitStack, house: House) -> Outcome:
        """What is asked for, who is killed, and what came of it."""

    def run(self, log: Path) -> Outcome:
        """All of it; `log` gets what `up` says."""
        with ExitStack() as stack:
            folder = Path(tempfile.mkdtemp(prefix="ytch", dir="/tmp"))  # short, for sockets
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
            (folder / "clips").mkdir()
            (folder / "disk").mkdir()
            models = load_settings().models_home
            ensure_model(OPTIONS.model, models)
            home = folder / "disk" / "home"
            settings = Settings(
                _env_file=None,  # pyright: ignore[reportCallIssue]
                home=home,
                model_directory=models,
                max_attempts=int(SETTINGS["YTCAPTION_MAX_ATTEMPTS"]),
            )
            place = stack.enter_context(disk(folder / "disk"))
            self.say(f"seed {self.seed}; the disk: {place.kind}")
            clips = make_clips(folder / "clips", self.recordings, self.seed, settings)
            self.say(f"{len(clips)} recordings, heard once undisturbed")
            up = Up(home, folder, YTCAPTION_MODEL_DIRECTORY=str(models), **SETTINGS)
            up.options = ("--no-webserver",)
            stack.callback(_end, up)
            stack.callback(lambda: log.write_text("".join(up.lines)))
            up.start()
            self.say("everything is ready")
            outcome = self.rage(stack, House(folder, up, place, settings, clips))
            for command in (("replay", "--check"), ("doctor",)):
                outcome.wrong[f"ytcaption {' '.join(command)}"] = _said_wrong(up, *command)
            outcome.wrong["`up` ends well"] = _stop(up)
            outcome.counts["seconds"] = round(time.monotonic() - self.began)
            return outcome

    def until(self, wrong: Callable[[], list[str]], within_s: float) -> list[str]:
        """What is still wrong when the time is over."""
        deadline = time.monotonic() + within_s
        while (found := wrong()) and time.monotonic() < deadline:
            time.sleep(2)
        return found

    @property
    def is_late(self) -> bool:
        """Whether the limit is over."""
        return time.monotonic() > self._ends_at

    def is_over(self, settings: Settings) -> bool:
        """Whether every transcription has ended."""
        return not any(status not in verify.FINAL for status in statuses(settings))

    def wait(self, up: Up, settings: Settings, seconds: float) -> None:
        """So long, saying how it goes."""
        deadline = time.monotonic() + max(0.0, seconds)
        while (left_s := deadline - time.monotonic()) > 0 and not self.is_late:
            time.sleep(min(TELL_EVERY_S, left_s))
            found = statuses(settings)
            told = "  ".join(f"{status} {number}" for status, number in sorted(found.items()))
            self.say(told or "Postgres does not answer")
            if not up.alive:
                raise RuntimeError(f"`ytcaption up` has ended: {''.join(up.lines[-20:])}")

    def say(self, text: str) -> None:
        """Tell people, with the time."""
        self._console.print(f"{time.monotonic() - self.began:6.1f} s  {text}", highlight=False)


def statuses(settings: Settings) -> Counter[str]:
    """How many transcriptions are in each; nothing while Postgres is away."""
    try:
        with psycopg.connect(database_urls(settings).admin, connect_timeout=5) as connection:
            rows = connection.execute(
                "select status, count(*) from ytcaption.transcription group by status"
            ).fetchall()
            return Counter(dict(rows))
    except psycopg.Error:
        return Counter()


def _said_wrong(up: Up, *command: str) -> list[str]:
    """What a command of the product's finds: nothing where it ends with 0."""
    done = up.run(*command)
    return [] if done.returncode == 0 else (done.stdout + done.stderr).splitlines()


def _stop(up: Up) -> list[str]:
    """What is wrong with its end by Ctrl-C."""
    assert up.process is not None
    up.process.send_signal(signal.SIGINT)
    try:
        status = up.process.wait(60)
    except subprocess.TimeoutExpired:
        return ["it did not end"]
    left = [str(process.pid) for process in up.processes()]
    return ([f"exit status {status}"] if status else []) + [f"{pid} was left" for pid in left]


def _end(up: Up) -> None:
    if up.process is not None and up.alive:
        up.process.kill()
        up.process.wait()
    for process in up.processes():
        process.kill()
