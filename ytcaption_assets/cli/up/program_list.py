"""The programs that `ytcaption up` keeps running, in the order to start them."""

import sys

import dagster as dg

from resources.processes.forked_child import child_server_socket
from resources.processes.runtime_directory import runtime_directory
from resources.transcribe.device import gpu_count
from resources.webhooks.notifier import MARK as NOTIFIER_MARK
from resources.worker.client import worker_at, worker_socket
from ytcaption.settings.secret_variables import (
    DATABASES,
    MODELS,
    OBJECT_STORE,
    STORAGE_URL_VARIABLE,
    TRACES,
)
from ytcaption.settings.settings import Settings
from ytcaption_assets.cli.up.dagster_home import (
    LOCATION_NAME,
    code_server_socket,
    has_run_server,
    prepare_dagster_home,
    run_server_socket,
)
from ytcaption_assets.cli.up.health import (
    any_sensor_ticks,
    child_server_answers,
    code_server_answers,
    daemon_beats_within,
    http_answers,
    run_server_answers,
    touched_within,
)
from ytcaption_assets.cli.up.orphans import group_members
from ytcaption_assets.cli.up.supervisor import Program

WEBSERVER_HOST = "127.0.0.1"  # others reach Dagster's page through a proxy

# The secrets of each program. What takes files of others (`children`) gets none.
_DAGSTER = frozenset({STORAGE_URL_VARIABLE, "PGPASSWORD"})
RUN_SECRETS = (
    DATABASES
    | OBJECT_STORE
    | MODELS
    | TRACES
    | {
        "YTCAPTION_PROXIES",
        "YTCAPTION_WORKER_TOKEN",
    }
)
_API = (
    DATABASES
    | OBJECT_STORE
    | MODELS
    | TRACES
    | {
        "YTCAPTION_JWT_SECRET",
        "YTCAPTION_PROXIES",  # a dry run of a channel reads its list
        "YTCAPTION_RATE_LIMIT_URL",
        "YTCAPTION_WEBHOOK_KEY",
        "YTCAPTION_WORKER_TOKEN",  # a search by meaning embeds its words
    }
)
# Dagster's page checks the key of a person who signs in; a JWT secret means that keys are needed.
_WEBSERVER = DATABASES | {"YTCAPTION_JWT_SECRET"}
_NOTIFIER = DATABASES | TRACES | {"YTCAPTION_NOTIFY_URLS", "YTCAPTION_WEBHOOK_KEY"}
_WORKER = MODELS | TRACES


def programs(settings: Settings, instance: dg.DagsterInstance, *, webserver: bool) -> list[Program]:
    """Return all programs except the workers, in the order to start them.

    Args:
        instance: stores the daemon's heartbeats.
        webserver: include Dagster's web page.
    """
    socket = code_server_socket(settings)
    workspace = str(prepare_dagster_home(settings) / "workspace.yaml")
    host, port, page = (
        settings.api.api_host,
        settings.api.api_port,
        settings.operation.webserver_port,
    )
    programs = [
        Program(
            "code",
            (
                *_python("dagster", "api", "grpc", "--socket", str(socket)),
                *("--module-name", "ytcaption_assets.definitions"),
                *("--location-name", LOCATION_NAME),
                # Runs use this interpreter and its installed packages.
                *("--use-python-environment-entry-point", "--empty-working-directory"),
            ),
            lambda _: code_server_answers(socket),
            # Without runs it only waits for a sensor's tick, which can take long.
            stop_s=1.5,
            has_work=lambda pid: bool(group_members(pid)),
            is_needed=False,  # the API works without Dagster
            secrets=RUN_SECRETS,
        ),
        Program(
            "daemon",
            _python("ytcaption_assets.cli.up.dagster_daemon", workspace),
            lambda uptime_s: daemon_beats_within(instance, uptime_s),
            after=("code",),
            stop_s=1.5,
            has_work=lambda _: False,  # each of its steps is a database transaction
            is_needed=False,
            is_working=lambda: any_sensor_ticks(instance, settings),
            secrets=_DAGSTER,
        ),
        Program(
            "webserver",
            _python("ytcaption_assets.webserver.server", workspace, str(page)),
            lambda _: http_answers(WEBSERVER_HOST, page, "/healthz"),
            after=("code",),
            is_needed=False,
            secrets=_WEBSERVER,
        ),
        Program(
            "api",
            _python(
                *("uvicorn", "api.app:create_app", "--factory"),
                *("--host", host, "--port", str(port)),
                *("--workers", str(settings.api.api_workers)),
                # First on the import path; the default is the current folder.
                *("--app-dir", str(socket.parent)),
                *("--timeout-graceful-shutdown", "2", "--no-server-header"),
                *("--http", "resources.http_server.uvicorn_protocol:BoundedHttp"),
                # api.http.client_address decides which proxies' X-Forwarded-For is trusted.
                "--no-proxy-headers",
            ),
            lambda _: http_answers(host, port, "/healthz"),
            ends_group=True,
            secrets=_API,
        ),
    ]
    if has_run_server(settings):
        programs[1:1] = [_run_server(settings), _child_server(settings)]
    programs.append(_notifier(settings))
    return [each for each in programs if webserver or each.name != "webserver"]


def _run_server(settings: Settings) -> Program:
    socket = run_server_socket(settings)
    return Program(
        "runs",
        _python("ytcaption_assets.run_server.server", str(socket)),
        lambda _: run_server_answers(socket),
        after=("code",),  # the machine is busy, and other programs wait for the code server
        stop_s=1.5,
        has_work=lambda pid: bool(group_members(pid)),
        is_needed=False,  # without it runs start in new interpreters
        secrets=RUN_SECRETS,
    )


def _child_server(settings: Settings) -> Program:
    socket = child_server_socket(settings.home)
    return Program(
        "children",
        _python("resources.child_server", str(socket)),
        lambda _: child_server_answers(socket),
        stop_s=1.5,
        has_work=lambda _: False,  # the runs that use it have ended
        is_needed=False,  # without it downloaders and decoders start in new interpreters
    )


def _notifier(settings: Settings) -> Program:
    mark = runtime_directory(settings.home) / NOTIFIER_MARK
    return Program(
        "notifier",
        _python("ytcaption_assets.cli.main", "notifier"),
        lambda uptime_s: touched_within(mark, uptime_s),
        has_work=lambda _: False,  # the next notifier sends what this one has claimed
        is_needed=False,  # without it the outbox waits
        secrets=_NOTIFIER,
    )


def worker_programs(settings: Settings) -> list[Program]:
    """Return a worker per GPU, or one for the CPU.

    They are started first, so that they are stopped after the last run has ended.
    """
    if settings.worker.worker == "off":
        return []
    gpus = gpu_count() if settings.speech.device != "cpu" else 0
    return [_worker(settings, number, has_gpu=bool(gpus)) for number in range(gpus or 1)]


def _worker(settings: Settings, number: int, *, has_gpu: bool) -> Program:
    socket = worker_socket(settings.home, number)
    gpu = ("--gpu", str(number)) if has_gpu else ()
    return Program(
        socket.stem,
        _python("ytcaption_assets.cli.main", "worker", "--number", str(number), *gpu),
        lambda _: worker_at(socket).health() is not None,
        stop_s=1.5,
        has_work=lambda _: False,  # the runs that use it have ended
        is_needed=False,  # without it runs load the model themselves
        secrets=_WORKER,
    )


def _python(module: str, *arguments: str) -> tuple[str, ...]:
    # -P: do not import a folder `api` or `resources` from the current folder.
    return (sys.executable, "-P", "-m", module, *arguments)
