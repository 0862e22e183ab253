"""The common part of all storms: start the product on its own home, wait for it and stop it."""

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
from tests.chaos.disk import disk
from tests.chaos.disturbances import MakeSurroundings, Surroundings, embedded
from tests.chaos.outcome import Outcome
from tests.ytcaption_assets.cli.up.test_up import Up
from ytcaption.settings.settings import (
    Settings,
    load_settings,
)

SETTINGS = {
    "YTCAPTION_ALLOWED_NETWORKS": "127.0.0.0/8",
    "YTCAPTION_MODEL": OPTIONS.model,
    # A killed run costs an attempt; there must be enough of them to see each site's fault.
    "YTCAPTION_MAX_ATTEMPTS": "6",
    "YTCAPTION_DOWNLOADS_PER_SITE": "4",
    # In a batch with others times of words move by 20 ms, and rarely a word differs.
    "YTCAPTION_WORKER_JOBS": "1",
}
REPORT_EVERY_S = 15.0
FREE_WITHIN_S = 120.0
"""Time after the last transcription has ended in which all slots become free (rule 48)."""


@dataclass(frozen=True)
class Installation:
    """The running product.

    Attributes:
        folder: has the recordings in `clips`.
    """

    folder: Path
    up: Up
    surroundings: Surroundings
    clips: list[Clip]

    @property
    def settings(self) -> Settings:
        """Settings by which the checks read."""
        return self.surroundings.settings


class Storm(ABC):
    """One run.

    Args:
        count: number of requests or items.
        storm_s: how long processes are killed, without the time of the disturbances.
        limit_s: time limit of everything, with the making of the recordings.
        surroundings: what the installation runs on.
    """

    def __init__(
        self,
        *,
        seed: int,
        count: int,
        storm_s: float,
        limit_s: float,
        console: Console,
        surroundings: MakeSurroundings = embedded,
    ) -> None:
        self.seed, self.count, self.storm_s = seed, count, storm_s
        self._surroundings = surroundings
        self.began = time.monotonic()
        self._console = console
        self._ends_at = self.began + limit_s

    @property
    def recordings(self) -> int:
        """Number of different recordings to make."""
        return self.count

    @abstractmethod
    def cause_chaos(self, stack: ExitStack, installation: Installation) -> Outcome:
        """Make requests, kill processes, and return the result of the checks."""

    def run(self, log: Path) -> Outcome:
        """Run everything and write the output of `up` to `log`."""
        with ExitStack() as stack:
            folder = Path(tempfile.mkdtemp(prefix="ytch", dir="/tmp"))  # short, for sockets
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
            (folder / "clips").mkdir()
            (folder / "disk").mkdir()
            models = load_settings().models_home
            ensure_model(OPTIONS.model, models)
            home = folder / "disk" / "home"
            values = {
                "home": home,
                "model_directory": models,
                "max_attempts": int(SETTINGS["YTCAPTION_MAX_ATTEMPTS"]),
            }
            mounted = stack.enter_context(disk(folder / "disk"))
            around = self._surroundings(stack, folder, mounted, values)
            self.say(f"seed {self.seed}; {around.name}; the disk: {mounted.kind}")
            clips = make_clips(folder / "clips", self.recordings, self.seed, around.settings)
            self.say(f"{len(clips)} recordings, transcribed once undisturbed")
            environment = {"YTCAPTION_MODEL_DIRECTORY": str(models), **SETTINGS}
            up = Up(home, folder, **environment, **around.environment)
            up.options = ("--no-webserver",)
            stack.callback(up.kill)
            stack.callback(lambda: log.write_text("".join(up.lines)))
            up.start()
            self.say("everything is ready")
            outcome = self.cause_chaos(stack, Installation(folder, up, around, clips))
            for command in (("replay", "--check"), ("doctor",)):
                outcome.wrong[f"ytcaption {' '.join(command)}"] = _errors(up, *command)
            outcome.wrong["`up` ends well"] = _stop(up)
            outcome.counts["seconds"] = round(time.monotonic() - self.began)
            return outcome

    def until(self, check: Callable[[], list[str]], within_s: float) -> list[str]:
        """Repeat a check until it finds nothing or the time is over; return its last errors."""
        deadline = time.monotonic() + within_s
        while (errors := check()) and time.monotonic() < deadline:
            time.sleep(2)
        return errors

    @property
    def is_late(self) -> bool:
        """Whether the time limit is over."""
        return time.monotonic() > self._ends_at

    def is_over(self, settings: Settings) -> bool:
        """Return whether every transcription has ended."""
        return not any(status not in verify.FINAL for status in statuses(settings))

    def wait(self, up: Up, settings: Settings, seconds: float) -> None:
        """Wait, and report the progress."""
        deadline = time.monotonic() + max(0.0, seconds)
        while (left_s := deadline - time.monotonic()) > 0 and not self.is_late:
            time.sleep(min(REPORT_EVERY_S, left_s))
            counts = sorted(statuses(settings).items())
            text = "  ".join(f"{status} {count}" for status, count in counts)
            self.say(text or "Postgres does not answer")
            if not up.alive:
                raise RuntimeError(f"`ytcaption up` has ended: {''.join(up.lines[-20:])}")

    def say(self, text: str) -> None:
        """Print a line with the time since the start."""
        self._console.print(f"{time.monotonic() - self.began:6.1f} s  {text}", highlight=False)


def statuses(settings: Settings) -> Counter[str]:
    """Return the number of transcriptions by status; none while Postgres is not available."""
    try:
        with psycopg.connect(database_urls(settings).admin, connect_timeout=5) as connection:
            rows = connection.execute(
                "select status, count(*) from ytcaption.transcription group by status"
            ).fetchall()
            return Counter(dict(rows))
    except psycopg.Error:
        return Counter()


def _errors(up: Up, *command: str) -> list[str]:
    """Return the output of a command of the product that does not end with 0."""
    done = up.run(*command)
    return [] if done.returncode == 0 else (done.stdout + done.stderr).splitlines()


def _stop(up: Up) -> list[str]:
    """Stop `up` by Ctrl-C and return what is wrong with its end."""
    assert up.process is not None
    up.process.send_signal(signal.SIGINT)
    try:
        status = up.process.wait(60)
    except subprocess.TimeoutExpired:
        return ["it did not end"]
    pids = [str(process.pid) for process in up.processes()]
    return ([f"exit status {status}"] if status else []) + [f"{pid} was left" for pid in pids]
