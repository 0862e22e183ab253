"""`make chaos`: many requests while everything is killed, and what holds afterwards.

    python -m tests.chaos.run [--seed 7] [--count 200] [--storm 300] [--limit 900]

A seed repeats the recordings, what each site does, whom the loop kills and after how long. What a
machine does in between is its own: two runs of one seed are alike, not equal.
"""

import argparse
import shutil
import signal
import subprocess
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import httpx
import psycopg
from rich.console import Console

from resources.database_urls import database_urls
from resources.models import ensure_model
from tests.chaos import verify
from tests.chaos.clients import Clients
from tests.chaos.clips import OPTIONS, make_clips
from tests.chaos.disk import Disk, disk
from tests.chaos.killer import Killer
from tests.chaos.outcome import Outcome, counts_of, print_outcome
from tests.chaos.source import Asked, Sources
from tests.cli.test_up import Up
from tests.webhook_receiver import Answer, WebhookReceiver
from ytcaption_assets.settings import Settings, load_settings

SETTINGS = {
    "YTCAPTION_ALLOWED_NETWORKS": "127.0.0.0/8",
    "YTCAPTION_MODEL": OPTIONS.model,
    # A run that is killed costs an attempt: enough of them, so that one sees what a site did.
    "YTCAPTION_MAX_ATTEMPTS": "6",
    "YTCAPTION_DOWNLOADS_PER_SITE": "4",
    # In a batch with others words move by 20 ms, and at times another one is heard.
    "YTCAPTION_WORKER_JOBS": "1",
}
FULL_S = 12.0
"""How long the disk is full."""

BUSY_S = 3.0
"""How long the receiver of webhooks refuses: less than the pause before a second attempt."""

TELL_EVERY_S = 15.0
FREE_WITHIN_S = 120.0
"""After the last end all slots are free (rule 48)."""

DELIVERED_WITHIN_S = 60.0


class Storm:
    """One run of it.

    Args:
        count: requests.
        storm_s: how long processes are killed; requests come in the first half of it.
        limit_s: for all of it, the making of recordings included.
    """

    def __init__(
        self, *, seed: int, count: int, storm_s: float, limit_s: float, console: Console
    ) -> None:
        self.seed, self.count, self.storm_s = seed, count, storm_s
        self._console = console
        self._began = time.monotonic()
        self._ends_at = self._began + limit_s

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
            self._say(f"seed {self.seed}; the disk: {place.kind}")
            clips = make_clips(folder / "clips", self.count, self.seed, settings)
            self._say(f"{len(clips)} recordings, heard once undisturbed")
            sources = stack.enter_context(Sources(folder / "clips"))
            receiver = stack.enter_context(WebhookReceiver())
            up = Up(home, folder, YTCAPTION_MODEL_DIRECTORY=str(models), **SETTINGS)
            up.options = ("--no-webserver",)
            stack.callback(_end, up)
            stack.callback(lambda: log.write_text("".join(up.lines)))
            up.start()
            self._say("everything is ready")
            asked = sources.requests(clips, self.seed)
            return self._with(up, place, settings, asked, receiver)

    def _with(
        self,
        up: Up,
        place: Disk,
        settings: Settings,
        asked: list[Asked],
        receiver: WebhookReceiver,
    ) -> Outcome:
        api = f"http://127.0.0.1:{up.state.api_port}/api/v1"
        secret = httpx.get(f"{api}/webhooks/callbacks/secret", timeout=60).json()["secret"]
        receiver.secrets.append(secret)
        paths = [f"/hook-{number}" for number in range(8)]

        def callback(number: int) -> str:
            return receiver.url(paths[number % len(paths)])

        with Clients(up, asked, self.storm_s / 2, callback) as clients:
            with Killer(up, self.seed, self._say) as killer:
                self._wait(up, settings, self.storm_s / 2)
                with killer.held, place.full(up.home):
                    self._say("the disk is full")
                    self._wait(up, settings, FULL_S)
                self._say("the disk has space again")
                for path in paths:
                    receiver.answers[path] = Answer(503)
                time.sleep(BUSY_S)
                for path in paths:
                    receiver.answers[path] = Answer(204)
                self._wait(up, settings, self.storm_s / 2 - FULL_S - BUSY_S)
            self._say("nobody is killed any more")
            while not (clients.is_done and self._is_over(settings)) and not self._is_late:
                self._wait(up, settings, 5.0)
            outcome = Outcome()
            self._check(settings, asked, clients, receiver, outcome)
            for command in (("replay", "--check"), ("doctor",)):
                outcome.wrong[f"ytcaption {' '.join(command)}"] = _said_wrong(up, *command)
            outcome.counts |= {
                "requests": len(asked),
                "repeated by clients": clients.repeats,
                **{f"killed: {name}": number for name, number in sorted(killer.killed.items())},
            }
        outcome.wrong["`up` ends well"] = _stop(up)
        outcome.counts["seconds"] = round(time.monotonic() - self._began)
        return outcome

    def _check(
        self,
        settings: Settings,
        asked: list[Asked],
        clients: Clients,
        receiver: WebhookReceiver,
        outcome: Outcome,
    ) -> None:
        held = self._until(lambda: verify.nothing_is_held(settings), FREE_WITHIN_S)
        self._until(lambda: _undelivered(settings), DELIVERED_WITHIN_S)
        facts, accepted = verify.Facts.read(settings), clients.accepted
        outcome.wrong |= {
            "refused": list(clients.refused.values()),
            "ended with their true cause": verify.requests_ended_truly(facts, accepted, asked),
            "transcripts as undisturbed": verify.transcripts_are_undisturbed(
                facts, accepted, asked
            ),
            "nothing done twice": verify.work_was_done_once(facts),
            "lake and Postgres agree": verify.lake_and_postgres_agree(facts),
            "webhooks": verify.webhooks_arrived(facts, receiver.received),
            "slots and runs": held,
            "no orphan file": verify.no_orphan_files(facts),
        }
        outcome.counts |= counts_of(facts, receiver.received)

    def _until(self, wrong, within_s: float) -> list[str]:
        """What is still wrong when the time is over."""
        deadline = time.monotonic() + within_s
        while (found := wrong()) and time.monotonic() < deadline:
            time.sleep(2)
        return found

    @property
    def _is_late(self) -> bool:
        return time.monotonic() > self._ends_at

    def _is_over(self, settings: Settings) -> bool:
        return not any(status not in verify.FINAL for status in _statuses(settings))

    def _wait(self, up: Up, settings: Settings, seconds: float) -> None:
        """So long, saying how it goes."""
        deadline = time.monotonic() + max(0.0, seconds)
        while (left_s := deadline - time.monotonic()) > 0 and not self._is_late:
            time.sleep(min(TELL_EVERY_S, left_s))
            statuses = _statuses(settings)
            told = "  ".join(f"{status} {number}" for status, number in sorted(statuses.items()))
            self._say(told or "Postgres does not answer")
            if not up.alive:
                raise RuntimeError(f"`ytcaption up` has ended: {''.join(up.lines[-20:])}")

    def _say(self, text: str) -> None:
        self._console.print(f"{time.monotonic() - self._began:6.1f} s  {text}", highlight=False)


def _statuses(settings: Settings) -> Counter[str]:
    """How many transcriptions are in each; nothing while Postgres is away."""
    try:
        with psycopg.connect(database_urls(settings).admin, connect_timeout=5) as connection:
            rows = connection.execute(
                "select status, count(*) from ytcaption.transcription group by status"
            ).fetchall()
            return Counter(dict(rows))
    except psycopg.Error:
        return Counter()


def _undelivered(settings: Settings) -> list[str]:
    with psycopg.connect(database_urls(settings).admin) as connection:
        rows = connection.execute(
            "select id::text from ytcaption.delivery where status = 'waiting'"
        ).fetchall()
        return [row[0] for row in rows]


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


def main() -> None:
    """Exit status 1 where something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--storm", type=float, default=300, help="seconds of killing")
    parser.add_argument("--limit", type=float, default=840, help="seconds for all of it")
    parser.add_argument("--log", type=Path, default=Path(tempfile.gettempdir()) / "chaos.log")
    arguments = parser.parse_args()
    console = Console()
    storm = Storm(
        seed=arguments.seed,
        count=arguments.count,
        storm_s=arguments.storm,
        limit_s=arguments.limit,
        console=console,
    )
    outcome = storm.run(arguments.log)
    print_outcome(outcome, arguments.log, console)
    raise SystemExit(int(not outcome.is_sound))


if __name__ == "__main__":
    main()
