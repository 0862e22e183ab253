"""Forked runs and runs of fresh interpreters, in real processes."""

import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import psutil
import pytest
from dagster_webserver.webserver import DagsterWebserver
from starlette.testclient import TestClient

from resources.orchestration.dagster_internals import WorkerStatus
from resources.orchestration.launch_protocol import LaunchRequest
from resources.orchestration.launcher import WarmRunLauncher
from resources.processes.line_protocol import read_line
from resources.processes.process_identity import RUN_PROCESS_TAG, RunProcess
from tests.support.code_location import LAUNCHERS, CodeLocation, code_location
from tests.support.patience import wait_for
from tests.support.servers.postgres_servers import DatabaseServer
from ytcaption_assets.cli.up.dagster_home import LOCATION_NAME, run_server_socket
from ytcaption_assets.cli.up.orphans import orphan_processes

pytestmark = pytest.mark.postgres

SUCCESS, FAILURE = dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE
CANCELED, STARTED = dg.DagsterRunStatus.CANCELED, dg.DagsterRunStatus.STARTED


@pytest.fixture(scope="module", params=LAUNCHERS)
def either(
    request: pytest.FixtureRequest, database_servers: Callable[[str], DatabaseServer]
) -> Iterator[CodeLocation]:
    """With each launcher."""
    server = database_servers("embedded")
    server.clean()
    with code_location(server.url, request.param) as found:
        yield found


only_warm = pytest.mark.parametrize("either", ["warm"], indirect=True, scope="module")


def is_forked(location: CodeLocation, run_id: str) -> bool:
    return bool(location.run(run_id).tags.get(RUN_PROCESS_TAG))


def health(location: CodeLocation, run_id: str) -> WorkerStatus:
    return location.instance.run_launcher.check_run_worker_health(location.run(run_id)).status


@pytest.mark.long
def test_a_run_completes(either: CodeLocation):
    """Forked if there is a run server."""
    run_id = either.launch("audio_download").run_id
    either.wait_until(run_id, SUCCESS, FAILURE)
    assert either.run(run_id).status is SUCCESS
    assert is_forked(either, run_id) is (either.run_server is not None)


@pytest.mark.long
@only_warm
def test_a_run_that_sets_a_resource_is_not_launched(either: CodeLocation, tmp_path: Path):
    """The code server refuses the configuration that Dagster's page or API sends."""
    elsewhere = tmp_path / "elsewhere"
    repository = next(
        iter(
            either.context.create_request_context()
            .get_code_location(LOCATION_NAME)
            .get_repositories()
        )
    )
    parameters = {
        "selector": {
            "repositoryLocationName": LOCATION_NAME,
            "repositoryName": repository,
            "jobName": "library",
        },
        "runConfigData": {"resources": {"object_store": {"config": {"url": str(elsewhere)}}}},
        "mode": "default",
    }
    query = """mutation ($it: ExecutionParams!) { launchRun(executionParams: $it) {
        __typename ... on RunConfigValidationInvalid { errors { message } } } }"""
    app = DagsterWebserver(either.context).create_asgi_app()
    body = {"query": query, "variables": {"it": parameters}}
    launched = TestClient(app).post("/graphql", json=body).json()["data"]["launchRun"]
    assert launched["__typename"] == "RunConfigValidationInvalid"
    assert "object_store:config" in launched["errors"][0]["message"]
    assert not elsewhere.exists()


@pytest.mark.long
def test_a_runs_output_is_kept(either: CodeLocation):
    """On Dagster's page and on the terminal: here why an asset failed without audio."""
    run_id = either.launch("transcription").run_id
    either.wait_until(run_id, SUCCESS, FAILURE)
    (logs,) = either.instance.get_records_for_run(
        run_id, of_type=dg.DagsterEventType.LOGS_CAPTURED
    ).records
    captured = logs.event_log_entry.get_dagster_event().logs_captured_data
    key = [run_id, "compute_logs", captured.file_key]
    wait_for(lambda: either.instance.compute_log_manager.is_capture_complete(key), 5)
    written = either.instance.compute_log_manager.get_log_data(key).stderr
    assert b"The audio is not stored" in (written or b"")
    assert "The audio is not stored" in (either.folder / "stderr.txt").read_text()


@pytest.mark.slow
def test_a_run_that_is_terminated_ends_as_canceled(either: CodeLocation):
    """By itself, in seconds, and its process with it."""
    run_id = either.launch("audio_download", path="stall/jfk.flac").run_id
    process = either.process_of(run_id)
    wait_for(lambda: either.server.bytes_sent("/stall/jfk.flac"), 20)
    assert either.instance.run_launcher.terminate(run_id)
    either.wait_until(run_id, CANCELED, FAILURE)
    assert either.run(run_id).status is CANCELED
    wait_for(lambda: not process.is_running(), 10)
    assert not either.instance.run_launcher.terminate(run_id)


@pytest.mark.slow
def test_a_run_that_waits_for_a_slot_is_idle_and_can_be_terminated(either: CodeLocation):
    """It uses almost no CPU, ends as canceled in seconds, and no longer waits in the pool."""
    with either.no_slots():
        run_id = either.launch("audio_download").run_id
        process = either.process_of(run_id)
        wait_for(lambda: either.waiting_runs() == {run_id}, 20)
        taken_s = sum(process.cpu_times()[:2])
        time.sleep(2)
        assert sum(process.cpu_times()[:2]) - taken_s < 0.5
        assert either.instance.run_launcher.terminate(run_id)
        either.wait_until(run_id, CANCELED, FAILURE, seconds=10)
        assert either.run(run_id).status is CANCELED
        assert not either.waiting_runs()


@pytest.mark.long
def test_a_run_that_is_killed_is_noticed(either: CodeLocation):
    """Its parent reports it to Dagster at once."""
    with either.no_slots():
        run_id = either.launch("audio_download").run_id
        either.wait_until(run_id, STARTED)
        either.process_of(run_id).kill()
        either.wait_until(run_id, FAILURE, seconds=15)
    killed = "was terminated by signal 9 (SIGKILL)"
    assert any(killed in message for message in either.said(run_id))


@only_warm
def test_the_run_server_holds_nothing_that_a_fork_must_not(either: CodeLocation):
    """One thread, no socket but the one it listens on, no channel and no database connection."""
    assert either.run_server is not None
    server = psutil.Process(either.run_server.pid)
    assert server.num_threads() == 1
    (listener,) = server.net_connections(kind="all")
    assert listener.laddr == str(run_server_socket(either.settings))


@pytest.mark.slow
@only_warm
def test_an_unconfirmed_run_does_not_begin(either: CodeLocation):
    """The launcher has given it up, and started another process for it."""
    run = either.launch("audio_download")
    either.wait_until(run.run_id, SUCCESS)
    launcher = either.instance.run_launcher
    assert isinstance(launcher, WarmRunLauncher)
    request = launcher._request(run, either.context.create_request_context())
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(run_server_socket(either.settings)))
        request.send(connection)
        process = RunProcess.of_run({RUN_PROCESS_TAG: read_line(connection)["process"]})
        assert process is not None and process.is_alive
    wait_for(lambda: not process.is_alive, 5)
    begun = [said for said in either.said(run.run_id) if said.startswith("Started process")]
    assert len(begun) == 1


NONSENSE = [b"", b"\n", b"[]\n", b'{"run": 1}\n', b"\xff\n"]
NONSENSE.append(
    json.dumps({"run_id": "a", "executable": sys.executable, "arguments": "b"}).encode() + b"\n"
)


@only_warm
@pytest.mark.parametrize("line", NONSENSE)
def test_malformed_requests_do_not_end_the_run_server(either: CodeLocation, line: bytes):
    """The connection is closed, and runs go on."""
    assert either.run_server is not None
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(run_server_socket(either.settings)))
        connection.sendall(line)
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1) == b""
    assert either.run_server.poll() is None


@only_warm
def test_a_run_for_another_interpreter_is_refused(either: CodeLocation):
    """It starts in a fresh one."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(run_server_socket(either.settings)))
        LaunchRequest(run_id="a", executable="/elsewhere/python").send(connection)
        assert read_line(connection) == {"refused": "the run is for another interpreter"}


@pytest.mark.slow
@only_warm
def test_changed_code_runs_without_a_restart(either: CodeLocation):
    """The next run uses it; one that is waiting goes on and completes."""
    assert either.run_server is not None
    with either.no_slots():
        waiting = either.launch("audio_download").run_id
        either.wait_until(waiting, STARTED)
        file = Path(either.code) / "ytcaption_assets" / "assets" / "audio_download.py"
        file.write_text(file.read_text().replace('{"downloaded": downloaded}', '{"new": True}'))
        fresh = either.launch("audio_download").run_id
        assert is_forked(either, fresh)
    for run_id, expected in ((waiting, "downloaded"), (fresh, "new")):
        either.wait_until(run_id, SUCCESS, FAILURE)
        (record,) = either.instance.get_records_for_run(
            run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION
        ).records
        assert record.asset_materialization is not None
        assert expected in record.asset_materialization.metadata
    assert either.run_server.poll() is None


@pytest.mark.slow
@only_warm
def test_a_killed_run_server_loses_nothing(either: CodeLocation):
    """A running run goes on, the next one starts without the server; a new server forks again."""
    assert either.run_server is not None
    with either.no_slots():
        orphan = either.launch("audio_download").run_id
        either.wait_until(orphan, STARTED)
        lost = either.launch("audio_download").run_id
        either.wait_until(lost, STARTED)
        either.run_server.kill()
        either.run_server.wait()
        alone = either.launch("audio_download").run_id
        assert not is_forked(either, alone)
        either.process_of(lost).kill()
        wait_for(lambda: health(either, lost) is WorkerStatus.FAILED, 5)
        assert health(either, orphan) is WorkerStatus.RUNNING
    either.wait_until(orphan, SUCCESS)
    either.wait_until(alone, SUCCESS)
    either.start_run_server()
    again = either.launch("audio_download").run_id
    assert is_forked(either, again)
    either.wait_until(again, SUCCESS)


@pytest.mark.slow
@only_warm
def test_an_unwatched_fresh_run_is_found_lost(either: CodeLocation):
    """Its code server is killed, then the run itself: the missing process is noticed."""
    assert either.run_server is not None
    either.run_server.kill()
    either.run_server.wait()
    with either.no_slots():
        run_id = either.launch("audio_download").run_id
        wait_for(lambda: either.waiting_runs() == {run_id}, 30)
        assert not is_forked(either, run_id)
        assert health(either, run_id) is WorkerStatus.RUNNING
        assert either.code_server is not None
        either.code_server.kill()
        either.code_server.wait()
        either.process_of(run_id).kill()
        wait_for(lambda: health(either, run_id) is WorkerStatus.FAILED, 5)
        assert either.run(run_id).status is STARTED
    either.instance.report_run_failed(either.run(run_id))
    either.start_code_server()
    either.context.refresh_workspace()
    either.start_run_server()


@pytest.mark.slow
@only_warm
def test_a_run_server_that_hangs_is_killed(either: CodeLocation):
    """The run that waited for it starts in a fresh interpreter."""
    assert either.run_server is not None
    os.kill(either.run_server.pid, signal.SIGSTOP)
    launcher = WarmRunLauncher(str(run_server_socket(either.settings)), LOCATION_NAME, answer_s=0.5)
    launcher.register_instance(either.instance)
    before = either.instance._run_launcher
    either.instance._run_launcher = launcher
    try:
        run_id = either.launch("audio_download").run_id
    finally:
        either.instance._run_launcher = before
    assert either.run_server.wait(5) == -signal.SIGKILL
    assert not is_forked(either, run_id)
    either.wait_until(run_id, SUCCESS)
    either.start_run_server()


@pytest.mark.long
def test_no_process_is_left(either: CodeLocation):
    """A running run ends with the servers, as at the end of `ytcaption up`."""
    path = "stall/jfk.flac"
    before = either.server.bytes_sent(f"/{path}")
    run_id = either.launch("audio_download", path=path).run_id
    process = either.process_of(run_id)
    wait_for(lambda: either.server.bytes_sent(f"/{path}") > before, 20)
    either.stop()
    assert not process.is_running()
    assert orphan_processes(either.settings.home) == []
