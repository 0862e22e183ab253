"""Dagster's home: its configuration, the environment of its processes, and its instance."""

import json
import os
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from string import Template

import dagster as dg
import psycopg
from pydantic import SecretStr

from resources.orchestration.dagster_internals import InstanceRef
from resources.orchestration.pauses import pool_slots
from resources.postgres.urls import database_urls, libpq_url
from resources.processes.runtime_directory import runtime_directory
from ytcaption.domain.errors import DatabaseUnavailable, SetupError
from ytcaption.settings.secret_variables import STORAGE_URL_VARIABLE
from ytcaption.settings.settings import Settings
from ytcaption.settings.settings_file import VARIABLE, settings_file

LOCATION_NAME = "ytcaption"


def dagster_home(settings: Settings) -> Path:
    """Return DAGSTER_HOME of this installation."""
    return settings.home / "dagster"


def code_server_socket(settings: Settings) -> Path:
    """Return the Unix socket of the code server, in a folder closed to other users."""
    return runtime_directory(settings.home) / "code.sock"


def run_server_socket(settings: Settings) -> Path:
    """Return the Unix socket of the process that forks runs."""
    return runtime_directory(settings.home) / "runs.sock"


def has_run_server(settings: Settings) -> bool:
    """Return whether runs are forked; on macOS some libraries do not survive a fork."""
    return settings.runs.run_launcher == "warm" and sys.platform == "linux"


def prepare_dagster_home(settings: Settings) -> Path:
    """Write `dagster.yaml` and `workspace.yaml` for the settings, and return DAGSTER_HOME.

    Raises:
        SetupError: the home cannot be written.
    """
    home = dagster_home(settings)
    workspace = {
        "load_from": [
            {
                "grpc_server": {
                    "socket": str(code_server_socket(settings)),
                    "location_name": LOCATION_NAME,
                }
            }
        ]
    }
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        _write_if_changed(home / "dagster.yaml", _instance_yaml(settings, home))
        # JSON is valid YAML, and json does the quoting.
        _write_if_changed(home / "workspace.yaml", json.dumps(workspace, indent=2) + "\n")
    except OSError as error:
        raise SetupError(
            f"{home} cannot be written: {error.strerror}. Set YTCAPTION_HOME to a writable folder."
        ) from error
    return home


def dagster_environment(settings: Settings) -> dict[str, str]:
    """Return the environment of which each process gets a part, without the secrets that it does
    not need (`Program.secrets`).

    It contains the settings, so that options of the command line reach every process.
    """
    file = {VARIABLE: str(settings_file())} if os.environ.get(VARIABLE, "").strip() else {}
    return {
        **os.environ,
        **file,
        **_settings_environment(settings),
        "DAGSTER_HOME": str(dagster_home(settings)),
        STORAGE_URL_VARIABLE: database_urls(settings).dagster_storage,
        "PYTHONUNBUFFERED": "1",
    }


@contextmanager
def dagster_instance(settings: Settings) -> Iterator[dg.DagsterInstance]:
    """Yield Dagster's persistent instance for this process, without changing `os.environ`.

    Postgres must be running. The first use creates Dagster's tables.

    Raises:
        DatabaseUnavailable: Dagster's database does not answer.
        SetupError: the home cannot be written.
    """
    home = prepare_dagster_home(settings)
    _require_answer(settings)
    reference = InstanceRef.from_dir(
        str(home),
        overrides={
            "storage": {
                "custom": {
                    "module": "resources.orchestration.storage",
                    "class": "KeptPostgresStorage",
                    "config": {"postgres_url": database_urls(settings).dagster_storage},
                }
            }
        },
    )
    try:
        instance = dg.DagsterInstance.from_ref(reference)
    except Exception as error:  # psycopg2's and SQLAlchemy's errors share no base class
        raise DatabaseUnavailable("Dagster's database does not answer.") from error
    try:
        yield instance
    finally:
        instance.dispose()


def set_pool_limits(
    instance: dg.DagsterInstance, settings: Settings, paused: Collection[str] = ()
) -> None:
    """Set each pool's slots to the number in the settings, and to none if it is paused."""
    for pool, slots in pool_slots(settings, paused).items():
        instance.event_log_storage.set_concurrency_slots(pool, slots)


def _require_answer(settings: Settings) -> None:
    # Checked first, because Dagster retries for 11 s and its error contains the address.
    try:
        psycopg.connect(
            libpq_url(database_urls(settings).dagster_storage), connect_timeout=10
        ).close()
    except psycopg.OperationalError as error:
        raise DatabaseUnavailable("Dagster's database does not answer.") from error


def _instance_yaml(settings: Settings, home: Path) -> str:
    template = files("ytcaption_assets").joinpath("dagster.yaml").read_text(encoding="utf-8")
    heading, _, body = template.partition("\n\n")
    values = {
        "artifact_directory": json.dumps(str(home)),
        "log_directory": json.dumps(str(home / "logs")),
        "max_concurrent_runs": settings.concurrent_runs + settings.channels.listing_slots + 1,
        "transcribe_runs": settings.concurrent_runs,
        "listing_runs": settings.channels.listing_slots,
        "max_runtime_seconds": settings.runs.max_runtime_s,
        "run_launcher": json.dumps(_run_launcher(settings)),
    }
    return f"{heading}\n\n{Template(body).substitute(values)}"


def _run_launcher(settings: Settings) -> dict[str, object]:
    if not has_run_server(settings):
        return {"module": "dagster", "class": "DefaultRunLauncher"}
    return {
        "module": "resources.orchestration.launcher",
        "class": "WarmRunLauncher",
        "config": {"socket": str(run_server_socket(settings)), "location_name": LOCATION_NAME},
    }


def _is_folder(name: str, value: object) -> bool:
    """Return whether a setting that may name something else names a folder."""
    text = str(value)
    if name == "object_store_url":
        return bool(text) and "://" not in text
    return name == "embedding_model" and os.sep in text and Path(text).expanduser().is_dir()


def _settings_environment(settings: Settings) -> dict[str, str]:
    environment = {}
    for name in sorted(settings.set_names() | {"home"}):
        value = settings.value_of(name)
        if value is None:
            continue
        if isinstance(value, SecretStr):
            value = value.get_secret_value()
        elif isinstance(value, tuple):
            value = ",".join(value)
        elif isinstance(value, Path) or _is_folder(name, value):
            # The processes have another working folder.
            value = Path(value).expanduser().absolute()
        environment[f"YTCAPTION_{name.upper()}"] = str(value)
    return environment


def _write_if_changed(path: Path, text: str) -> None:
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
