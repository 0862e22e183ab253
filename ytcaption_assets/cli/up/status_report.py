"""The state of the processes and transcriptions of a home."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

from resources.admin.queue_report import QueueReport, queue_report
from resources.embeddings.embedder import has_embeddings
from resources.embeddings.store import EmbeddingCounts, EmbeddingStore
from resources.maintenance.standstill import PAUSE, Standstill, standstills
from resources.orchestration.orchestrator import Orchestrator
from resources.orchestration.ticks import STILL_S
from resources.postgres.connection import Postgres
from resources.postgres.embedded import is_postgres_running, running_postgres
from resources.postgres.restore_mark import require_settled
from resources.postgres.urls import postgres_folder
from resources.processes.forked_child import child_server_socket
from resources.processes.runtime_directory import runtime_directory
from resources.transcriptions.reads import status_counts
from resources.webhooks.notifier import MARK as NOTIFIER_MARK
from resources.worker.client import local_workers
from resources.worker.protocol import Health
from ytcaption.domain.errors import YtcaptionError
from ytcaption.domain.request import TranscriptionStatus
from ytcaption.settings.settings import Settings
from ytcaption_assets.cli.up.dagster_home import (
    code_server_socket,
    dagster_instance,
    has_run_server,
    run_server_socket,
)
from ytcaption_assets.cli.up.health import (
    child_server_answers,
    code_server_answers,
    daemon_beats_within,
    http_answers,
    run_server_answers,
    touched_within,
)
from ytcaption_assets.cli.up.orphans import orphan_processes
from ytcaption_assets.cli.up.ports import in_url
from ytcaption_assets.cli.up.state import ProcessState, UpState, read_state

_NOTIFIER_POLL_S = 15.0  # a notifier polls every 5 s
_HEARTBEAT_S = 120.0  # each daemon thread sends a heartbeat every 30 s


@dataclass(frozen=True)
class ProcessReport:
    """One process.

    Attributes:
        health: `ok`, `no answer` or `not running`.
        uptime_s: seconds since its start; None when it does not run.
        address: socket or URL on which it listens, if any.
    """

    name: str
    health: str
    pid: int | None
    uptime_s: float | None
    restarts: int
    address: str | None


@dataclass(frozen=True)
class StatusReport:
    """State of a home.

    Attributes:
        processes: of a running `up`; empty if none runs.
        orphans: number of processes left by a killed `up`.
        workers: health of the workers that answer, by name.
        postgres_runs: whether the database answered before this report started it.
        counts: transcriptions by status; None if the database cannot be read.
        queue: None likewise.
        embeddings: None likewise, and if embeddings are off.
        problem: why the database cannot be read, in a sentence.
        standstills: what does no work although there is some, while an `up` runs.
    """

    home: str
    processes: tuple[ProcessReport, ...]
    workers: Mapping[str, Health]
    orphans: int
    postgres: str
    postgres_runs: bool
    counts: Mapping[TranscriptionStatus, int] | None
    queue: QueueReport | None
    embeddings: EmbeddingCounts | None
    problem: str | None
    standstills: tuple[Standstill, ...] = ()

    @property
    def runs(self) -> bool:
        """Whether an `up` runs."""
        return bool(self.processes)

    @property
    def is_healthy(self) -> bool:
        """Whether an `up` runs, all of its processes answer, and nothing stands still."""
        return (
            self.runs
            and self.postgres_runs
            and all(each.health == "ok" for each in self.processes)
            and not any(each.is_fault for each in self.standstills)
        )


def read_status(settings: Settings) -> StatusReport:
    """Read the state of each part. Without an `up`, the embedded Postgres is started briefly."""
    state = read_state(settings.home)
    postgres_runs = is_postgres_running(settings)
    counts, queue, embeddings, problem = None, None, None, None
    still: tuple[Standstill, ...] = ()
    with ExitStack() as stack:
        try:
            require_settled(settings)
            if not postgres_runs and state is None and _has_data(settings):
                stack.enter_context(running_postgres(settings))
            if postgres_runs or (state is None and _has_data(settings)):
                postgres = Postgres.from_settings(settings, role="api")
                counts = status_counts(postgres)
                queue = queue_report(postgres, proxies=settings.pacing.proxies)
                if state is not None:
                    still = _standstills(settings, postgres, state.up.uptime_s)
                if has_embeddings(settings):
                    embeddings = EmbeddingStore(postgres).counts(settings.search.embedding_model)
            else:
                problem = (
                    "The database does not answer."
                    if _has_data(settings)
                    else "Nothing has been transcribed on this home yet."
                )
        except YtcaptionError as error:
            problem = error.message
        workers = _workers(settings)
        processes = _processes(settings, state, postgres_runs, workers) if state else ()
    return StatusReport(
        home=str(settings.home),
        processes=processes,
        workers=workers,
        orphans=0 if state else len(orphan_processes(settings.home)),
        postgres="embedded" if settings.storage.database_url is None else "server",
        postgres_runs=postgres_runs,
        counts=counts,
        queue=queue,
        embeddings=embeddings,
        problem=problem,
        standstills=still,
    )


def _standstills(settings: Settings, postgres: Postgres, uptime_s: float) -> tuple[Standstill, ...]:
    """Return what stands still; in its first minutes an `up` has not begun everything."""
    with dagster_instance(settings) as instance:
        known = Orchestrator(instance).ticks(settings) or []
    if uptime_s > STILL_S + settings.operation.standstill_s:
        return tuple(standstills(settings, postgres, known))
    known = [tick for tick in known if tick.problem in ("stopped", "ahead")]
    found = standstills(settings, postgres, known)
    return tuple(each for each in found if each.part in ("sensors", PAUSE))


def _has_data(settings: Settings) -> bool:
    return (
        settings.storage.database_url is not None or (postgres_folder(settings) / "data").exists()
    )


def _workers(settings: Settings) -> dict[str, Health]:
    workers = local_workers(runtime_directory(settings.home))
    health = ((each.name, each.health()) for each in workers)
    return {name: each for name, each in health if each is not None}


def _processes(
    settings: Settings, state: UpState, postgres_runs: bool, workers: Mapping[str, Health]
) -> tuple[ProcessReport, ...]:
    answers: dict[str, Callable[[], bool]] = {
        "up": lambda: True,
        "code": lambda: code_server_answers(code_server_socket(settings)),
        "runs": lambda: run_server_answers(run_server_socket(settings)),
        "children": lambda: child_server_answers(child_server_socket(settings.home)),
        "daemon": lambda: postgres_runs and _daemon_beats(settings),
        "webserver": lambda: (
            state.webserver_port is not None
            and http_answers("127.0.0.1", state.webserver_port, "/healthz")
        ),
        "api": lambda: http_answers(state.api_host, state.api_port, "/healthz"),
        "notifier": lambda: touched_within(
            runtime_directory(settings.home) / NOTIFIER_MARK, _NOTIFIER_POLL_S
        ),
    }
    addresses = {
        "code": str(code_server_socket(settings)),
        "runs": str(run_server_socket(settings)),
        "children": str(child_server_socket(settings.home)),
        "webserver": f"http://127.0.0.1:{state.webserver_port}",
        "api": f"http://{in_url(state.api_host)}:{state.api_port}",
    }
    known = {each.name: each for each in (state.up, *state.processes)}
    for name in sorted(name for name in known if name.startswith("worker-")):
        answers[name] = partial(workers.__contains__, name)
        addresses[name] = str(runtime_directory(settings.home) / f"{name}.sock")
    absent = {"webserver"} if state.webserver_port is None else set()
    if not has_run_server(settings):
        absent |= {"runs", "children"}
    expected = [name for name in answers if name not in absent]
    return tuple(
        _report(name, known.get(name), answers[name], addresses.get(name)) for name in expected
    )


def _report(name: str, process: ProcessState | None, answers, address: str | None) -> ProcessReport:
    if process is None or not process.is_alive:
        restarts = process.restarts if process else 0
        return ProcessReport(name, "not running", None, None, restarts, address)
    health = "ok" if answers() else "no answer"
    return ProcessReport(name, health, process.pid, process.uptime_s, process.restarts, address)


def _daemon_beats(settings: Settings) -> bool:
    try:
        with dagster_instance(settings) as instance:
            return daemon_beats_within(instance, _HEARTBEAT_S)
    except YtcaptionError:
        return False
