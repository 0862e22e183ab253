"""Implementation of `ytcaption up`: all programs on this machine, in one terminal."""

import os
import shutil
import signal
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console

from resources.auth.bind_check import check_bind
from resources.auth.jwt_tokens import JwtTokens
from resources.download.egress import check_egress_settings
from resources.orchestration.pauses import paused_parts
from resources.postgres.connection import Postgres
from resources.postgres.embedded import ensure_postgres, running_postgres
from resources.postgres.migrate import migrate
from resources.postgres.server_check import check_servers
from resources.processes.native_threads import decoding_environment
from resources.processes.runtime_directory import make_runtime_directory, runtime_directory
from resources.sites.resolve import check_sites
from ytcaption.domain.errors import YtcaptionError
from ytcaption.settings.settings import Settings
from ytcaption.settings.settings_file import file_in_force
from ytcaption_assets.cli.database import settle_restore
from ytcaption_assets.cli.up.dagster_home import (
    code_server_socket,
    dagster_environment,
    dagster_instance,
    prepare_dagster_home,
    set_pool_limits,
)
from ytcaption_assets.cli.up.home_lock import home_lock
from ytcaption_assets.cli.up.orphans import MARK, end_orphans
from ytcaption_assets.cli.up.ports import free_port, in_url
from ytcaption_assets.cli.up.process_output import ProcessOutput
from ytcaption_assets.cli.up.program_list import WEBSERVER_HOST, programs, worker_programs
from ytcaption_assets.cli.up.state import StateFile, remove_state
from ytcaption_assets.cli.up.supervisor import Supervisor

NAMES = ["up", "code", "runs", "children", "daemon", "webserver", "api", "notifier"]


def serve(settings: Settings, console: Console, *, webserver: bool) -> None:
    """Run all programs until SIGINT, SIGTERM or SIGHUP.

    Raises:
        SetupError: the home, a port or Postgres is not available, or a listed site is unknown.
        ProcessGaveUp: a needed process cannot be kept running.
    """
    JwtTokens.from_settings(settings)  # invalid settings are reported before anything starts
    check_sites(settings.download.sites)
    check_egress_settings(settings)
    with _stop_signals() as signals, home_lock(settings.home):
        workers = worker_programs(settings)
        names = [*NAMES, *(each.name for each in workers)]
        output = ProcessOutput(
            console, names, on_broken=lambda: os.kill(os.getpid(), signal.SIGTERM)
        )
        if count := end_orphans(settings.home):
            output.write("up", f"ended {count} processes left by an earlier `ytcaption up`")
        settings = with_log_format(_with_ports(settings, webserver=webserver), console)
        output.write("up", f"starting in {settings.home}; Ctrl-C stops everything")
        output.write("up", file_in_force())
        make_runtime_directory(settings.home)
        prepare_dagster_home(settings)
        settle_restore(settings)
        with running_postgres(settings):
            check_servers(settings)
            migrate(settings)
            check_bind(settings)
            with dagster_instance(settings) as instance:
                paused = paused_parts(Postgres.from_settings(settings, "admin"))
                set_pool_limits(instance, settings, paused)
                if paused:
                    output.write("up", f"paused by an operator: {', '.join(sorted(paused))}")
                state = StateFile(output, settings, webserver=webserver)

                def watch() -> None:
                    _keep_postgres(output, settings)
                    state.retry()

                supervisor = Supervisor(
                    [*workers, *programs(settings, instance, webserver=webserver)],
                    environment=_environment(settings),
                    output=output,
                    # Dagster would read a file `.env` of the current folder, whatever it holds.
                    directory=runtime_directory(settings.home),
                    on_change=state.save,
                    on_ready=lambda took_s: _print_ready(output, settings, took_s, webserver),
                    watch=watch,
                )
                signals.on_signal = supervisor.request_stop
                try:
                    supervisor.run()
                finally:
                    end_orphans(settings.home, patience_s=0)
                    remove_state(settings.home)
        output.write("up", "stopped")


def with_log_format(settings: Settings, console: Console) -> Settings:
    """Choose the text format for a terminal; the processes see a pipe and would choose JSON."""
    if settings.operation.log_format != "auto" or not console.is_terminal:
        return settings
    return settings.changed(log_format="text")


def _with_ports(settings: Settings, *, webserver: bool) -> Settings:
    ports = {
        "api_port": free_port(settings.api.api_host, settings.api.api_port, "YTCAPTION_API_PORT")
    }
    if webserver:
        ports["webserver_port"] = free_port(
            WEBSERVER_HOST, settings.operation.webserver_port, "YTCAPTION_WEBSERVER_PORT"
        )
    return settings.changed(**ports)


def _environment(settings: Settings) -> dict[str, str]:
    environment = decoding_environment(dagster_environment(settings)) | {MARK: str(settings.home)}
    # Dagster removes the first entry of the import path, which it takes for the script's folder. So
    # that it removes no entry of the user's, put the socket's folder, which has no modules, first.
    given = filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))
    entries = [str(code_server_socket(settings).parent), *map(os.path.abspath, given)]
    environment["PYTHONPATH"] = os.pathsep.join(entries)
    if settings.api.api_workers > 1:
        # In this folder prometheus-client adds the counters of several processes, from 0 at start.
        folder = code_server_socket(settings).parent / "metrics"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)
        environment["PROMETHEUS_MULTIPROC_DIR"] = str(folder)
    return environment


def _keep_postgres(output: ProcessOutput, settings: Settings) -> None:
    try:
        ensure_postgres(settings)
    # The next call may succeed; all other processes wait for Postgres meanwhile.
    except (YtcaptionError, OSError) as error:
        output.write("up", str(error))


def _print_ready(output: ProcessOutput, settings: Settings, took_s: float, webserver: bool) -> None:
    api = f"http://{in_url(settings.api.api_host)}:{settings.api.api_port}"
    output.write("up", f"everything is ready ({took_s:.1f} s)")
    output.write("up", f"  Page     {api}")
    output.write("up", f"  API      {api}/api/v1  (described at {api}/docs)")
    if webserver:
        output.write(
            "up", f"  Dagster  http://{WEBSERVER_HOST}:{settings.operation.webserver_port}"
        )


class _Signals:
    """Signal handler: interrupts the preparations, or asks the supervisor to stop."""

    on_signal: Callable[[], None] | None = None

    def __call__(self, number: int, frame: types.FrameType | None) -> None:
        if self.on_signal is None:
            raise KeyboardInterrupt
        self.on_signal()


@contextmanager
def _stop_signals() -> Iterator[_Signals]:
    signals = _Signals()
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, signals) for number in numbers}
    try:
        yield signals
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
