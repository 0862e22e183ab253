"""Health checks of our processes: each takes at most its timeout and never raises."""

import http.client
import socket
from dataclasses import asdict
from pathlib import Path
from typing import Any

import dagster as dg
import grpc
from grpc_health.v1 import health_pb2

from resources.orchestration.launch_protocol import LaunchRequest
from resources.orchestration.ticks import SENSORS, ticks
from resources.processes.clock_step import age_s
from resources.processes.line_protocol import read_line, send_line
from ytcaption.settings.settings import Settings
from ytcaption_assets.cli.up.dagster_home import code_server_socket

_DAGSTER_SERVICE = "DagsterApi"


def http_answers(host: str, port: int, path: str, timeout_s: float = 2.0) -> bool:
    """Return whether a server on this machine answers `path` with 200."""
    connection = http.client.HTTPConnection(  # noqa: TID251 - one of our own processes
        host, port, timeout=timeout_s
    )
    try:
        connection.request("GET", path)
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def touched_within(path: Path, seconds: float) -> bool:
    """Return whether the file was touched in the last seconds, whichever way the clock was set."""
    try:
        return age_s(path.stat().st_mtime) <= seconds
    except OSError:
        return False


def code_server_answers(path: Path, timeout_s: float = 2.0) -> bool:
    """Return whether the code server on this Unix socket has loaded the definitions."""
    if not path.exists():
        return False
    with grpc.insecure_channel(f"unix:{path}") as channel:
        check = channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
            response_deserializer=health_pb2.HealthCheckResponse.FromString,
        )
        try:
            answer = check(
                health_pb2.HealthCheckRequest(service=_DAGSTER_SERVICE), timeout=timeout_s
            )
        except grpc.RpcError:
            return False
    return answer.status == health_pb2.HealthCheckResponse.SERVING


def run_server_answers(path: Path, timeout_s: float = 2.0) -> bool:
    """Return whether the run server on this Unix socket is ready to fork runs."""
    return "runs" in _answer(path, asdict(LaunchRequest()), timeout_s)


def child_server_answers(path: Path, timeout_s: float = 2.0) -> bool:
    """Return whether the child server on this Unix socket is ready to fork processes."""
    return "children" in _answer(path, {}, timeout_s)


def _answer(path: Path, request: dict[str, Any], timeout_s: float) -> dict[str, Any]:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(timeout_s)
        try:
            connection.connect(str(path))
            send_line(connection, request)
            return read_line(connection)
        except (OSError, ValueError):
            return {}


def daemon_beats_within(instance: dg.DagsterInstance, seconds: float) -> bool:
    """Return whether each required daemon thread has sent a heartbeat in the last seconds.

    Args:
        instance: stores the heartbeats.
    """
    try:
        heartbeats = instance.get_daemon_heartbeats()
        required = instance.get_required_daemon_types()
    except Exception:  # psycopg2's, SQLAlchemy's and Dagster's errors share no base class
        return False
    return all(
        kind in heartbeats and age_s(heartbeats[kind].timestamp) <= seconds for kind in required
    )


def any_sensor_ticks(instance: dg.DagsterInstance, settings: Settings) -> bool | None:
    """Return whether the daemon evaluates sensors; None if that is unknown.

    It is working if one of those sensors ticks that nobody has stopped, and that load their code.
    """
    try:
        known = ticks(instance, settings)
    except Exception:  # as above
        return None
    if not code_server_answers(code_server_socket(settings)):
        return None
    problems = [tick.problem for tick in known if tick.name in SENSORS]
    return any(problem in (None, "stopped") for problem in problems)
