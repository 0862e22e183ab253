"""A code server, a run server, Dagster's instance; without a daemon runs start by hand."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg
import psutil
import pytest
from dagster._core.definitions.selector import JobSubsetSelector
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import WorkspaceFileTarget

from resources.orchestration.partitions import transcription_partitions
from resources.orchestration.tags import (
    PARTITION_TAG,
    RUN_KEY_TAG,
)
from resources.processes.runtime_directory import make_runtime_directory
from resources.transcriptions.store import RequestStore
from resources.worker.client import Worker, worker_at, worker_socket
from sensors.jobs import transcribe_job
from tests.support.hanging import let_hang, serve_hanging
from tests.support.paths import ROOT
from tests.support.patience import wait_for
from tests.support.servers.media_server import MediaServer
from ytcaption.domain.media.media import MediaSource, url_media_id
from ytcaption.domain.request import TranscriptionOptions, run_key
from ytcaption.settings.settings import Settings
from ytcaption_assets.cli.up.dagster_home import (
    LOCATION_NAME,
    code_server_socket,
    dagster_environment,
    dagster_home,
    dagster_instance,
    has_run_server,
    prepare_dagster_home,
    run_server_socket,
)
from ytcaption_assets.cli.up.health import code_server_answers, run_server_answers
from ytcaption_assets.cli.up.orphans import MARK, end_orphans, orphan_processes

LAUNCHERS = ["warm", pytest.param("default", marks=pytest.mark.slow)]
"""Launchers of runs: forked by the run server, or a new interpreter each."""

PACKAGES = ("ytcaption", "ytcaption_assets", "resources", "sensors")


@dataclass
class CodeLocation:
    """What launches runs, and its processes.

    Attributes:
        code: a copy of our packages that the run server imports, to be changed.
    """

    settings: Settings
    server: MediaServer
    instance: dg.DagsterInstance
    context: WorkspaceProcessContext
    folder: Path
    code: Path
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    run_server: subprocess.Popen[bytes] | None = None
    code_server: subprocess.Popen[bytes] | None = None
    clips: int = 0

    def start_run_server(self) -> None:
        """Another one where one has ended."""
        socket = run_server_socket(self.settings)
        socket.unlink(missing_ok=True)
        self.run_server = self._start(
            "ytcaption_assets.run_server.server", str(socket), PYTHONPATH=str(self.code)
        )
        wait_for(lambda: run_server_answers(socket), 60)

    def start_code_server(self) -> None:
        """As `ytcaption up` does."""
        socket = code_server_socket(self.settings)
        socket.unlink(missing_ok=True)
        self.code_server = self._start(
            *("dagster", "api", "grpc", "--socket", str(socket), "--location-name", LOCATION_NAME),
            *("--module-name", "ytcaption_assets.definitions"),
            *("--use-python-environment-entry-point", "--empty-working-directory"),
        )
        wait_for(lambda: code_server_answers(socket), 60)

    def start_daemon(self) -> None:
        """That makes runs of requests and starts them, as in `ytcaption up`."""
        workspace = dagster_home(self.settings) / "workspace.yaml"
        self._start("ytcaption_assets.cli.up.dagster_daemon", str(workspace))

    def start_worker(self) -> Worker:
        """That holds the model."""
        self._start("ytcaption_assets.cli.main", "worker")
        worker = worker_at(worker_socket(self.settings.home, 0))
        wait_for(lambda: worker.health() is not None, 60)
        return worker

    def launch(
        self, *assets: str, path: str = "jfk.flac", server: MediaServer | None = None
    ) -> dg.DagsterRun:
        """A run of some assets on a clip of its own, launched as the run queue does."""
        self.clips += 1
        url = (server or self.server).url(path, n=self.clips)
        source = MediaSource(url_media_id(url), "direct", url=url, extractor="Generic")
        options = TranscriptionOptions(model="tiny.en", language="en")
        store = RequestStore.from_settings(self.settings, "admin")
        key = store.submit(source, options).transcription.id
        self.instance.add_dynamic_partitions(transcription_partitions.name or "", [key])
        request = self.context.create_request_context()
        location = request.get_code_location(LOCATION_NAME)
        (repository,) = location.get_repositories().values()
        selection = [dg.AssetKey(name) for name in assets]
        job = location.get_job(
            JobSubsetSelector(
                location_name=LOCATION_NAME,
                repository_name=repository.name,
                job_name=transcribe_job.name,
                op_selection=None,
                asset_selection=selection,
            )
        )
        plan = location.get_execution_plan(job, {}, None, None, self.instance)
        run = self.instance.create_run(
            job_name=job.name,
            run_id=None,
            run_config={},
            resolved_op_selection=job.resolved_op_selection,
            step_keys_to_execute=None,
            status=dg.DagsterRunStatus.NOT_STARTED,
            op_selection=None,
            root_run_id=None,
            parent_run_id=None,
            tags={PARTITION_TAG: key, RUN_KEY_TAG: run_key(key, 1)},
            job_snapshot=job.job_snapshot,
            execution_plan_snapshot=plan.execution_plan_snapshot,
            parent_job_snapshot=job.parent_job_snapshot,
            remote_job_origin=job.get_remote_origin(),
            job_code_origin=job.get_python_origin(),
            asset_selection=frozenset(selection),
            asset_check_selection=None,
            asset_graph=repository.asset_graph,
        )
        return self.instance.launch_run(run.run_id, request)

    def run(self, run_id: str) -> dg.DagsterRun:
        """The run as it is now."""
        found = self.instance.get_run_by_id(run_id)
        assert found is not None
        return found

    def said(self, run_id: str) -> list[str]:
        """What its log says."""
        return [
            (record.dagster_event and record.dagster_event.message) or record.user_message
            for record in self.instance.all_logs(run_id)
        ]

    def process_of(self, run_id: str) -> psutil.Process:
        """The run's process, once its log names it."""
        found: list[int] = []

        def named() -> bool:
            found.extend(
                int(said.split()[-1].rstrip(")."))
                for said in self.said(run_id)
                if said.startswith("Started process for run (pid: ")
            )
            return bool(found)

        wait_for(named, 30)
        return psutil.Process(found[0])

    def wait_until(self, run_id: str, *statuses: dg.DagsterRunStatus, seconds: float = 30) -> None:
        """Until it has one of these."""
        try:
            wait_for(lambda: self.run(run_id).status in statuses, seconds)
        except TimeoutError:
            log = "\n".join(self.said(run_id))
            raise AssertionError(f"{self.run(run_id).status}:\n{log}") from None

    @contextmanager
    def no_slots(self) -> Iterator[None]:
        """Runs that start wait before their first asset."""
        storage = self.instance.event_log_storage
        storage.set_concurrency_slots("download", 0)
        try:
            yield
        finally:
            storage.set_concurrency_slots("download", 4)

    def waiting_runs(self) -> set[str]:
        """Those that wait for a slot of the download pool."""
        info = self.instance.event_log_storage.get_concurrency_info("download")
        return {step.run_id for step in info.pending_steps if step.assigned_timestamp is None}

    def stop(self) -> None:
        """As `ytcaption up` does: the group of each gets SIGTERM, and SIGKILL later."""
        for process in self.processes:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
        with suppress(TimeoutError):
            wait_for(lambda: not orphan_processes(self.settings.home), 5)
        for process in self.processes:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def _start(self, module: str, *arguments: str, **more: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", module, *arguments],
            cwd=self.folder,
            env=dagster_environment(self.settings) | {MARK: str(self.settings.home)} | more,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=(self.folder / "stderr.txt").open("ab"),
            start_new_session=True,
        )
        self.processes.append(process)
        return process


@contextmanager
def code_location(
    database_url: str, launcher: str, *, hanging: bool = False, **more: Any
) -> Iterator[CodeLocation]:
    """Running, on a home of its own; no process is left after it.

    Args:
        hanging: some clips' transcriptions hang, where runs are forked: `tests.support.hanging`.
        more: settings.
    """
    folder = Path(tempfile.mkdtemp(prefix="ytcl", dir="/tmp"))  # short, as socket paths must be
    settings = Settings(
        _env_file=None,  # pyright: ignore[reportCallIssue]
        home=folder / "home",
        database_url=database_url,  # pyright: ignore[reportArgumentType]
        allowed_networks=("127.0.0.0/8",),
        run_launcher=launcher,  # pyright: ignore[reportArgumentType]
        # All media are of this host, and killed runs keep their place.
        **{"downloads_per_site": 100} | more,
    )
    code = _copied_code(folder / "code")
    if hanging:
        let_hang(code, folder / "hold")
    make_runtime_directory(settings.home)
    workspace = prepare_dagster_home(settings) / "workspace.yaml"
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder)
        stack.callback(end_orphans, settings.home, 0)
        server = stack.enter_context(MediaServer())
        serve_hanging(server)
        instance = stack.enter_context(dagster_instance(settings))
        context = stack.enter_context(
            WorkspaceProcessContext(instance, WorkspaceFileTarget([str(workspace)]))
        )
        found = CodeLocation(settings, server, instance, context, folder, code)
        stack.callback(found.stop)
        found.start_code_server()
        if has_run_server(settings):
            found.start_run_server()
        context.refresh_workspace()
        instance.event_log_storage.set_concurrency_slots("download", 4)
        instance.event_log_storage.set_concurrency_slots("transcription", 2)
        yield found


def _copied_code(folder: Path) -> Path:
    for name in PACKAGES:
        shutil.copytree(ROOT / name, folder / name)
    return folder
