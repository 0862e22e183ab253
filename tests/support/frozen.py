"""A Postgres that hangs: all its processes are stopped, as on a machine whose disk hangs."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psutil
import psycopg

from tests.support.servers.postgres_servers import DatabaseServer


@contextmanager
def frozen(server: DatabaseServer) -> Iterator[None]:
    """Let no process of the server run while the context lasts. Connections stay open."""
    with psycopg.connect(server.superuser_url) as connection:
        row = connection.execute("select pg_backend_pid()").fetchone()
        assert row is not None
        postmaster = psutil.Process(row[0]).parent()
    assert postmaster is not None
    with frozen_processes(postmaster):
        yield


@contextmanager
def frozen_processes(parent: psutil.Process) -> Iterator[None]:
    """Let neither a process nor its children run while the context lasts."""
    family = [parent]
    try:
        with suppress(ProcessLookupError, psutil.Error):
            os.kill(parent.pid, signal.SIGSTOP)  # first: it starts no further processes
            family += parent.children(recursive=True)
        for process in family[1:]:
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGSTOP)
        yield
    finally:
        for process in reversed(family):
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGCONT)


@contextmanager
def read_only(server: DatabaseServer) -> Iterator[None]:
    """Let the server accept no changes while the context lasts, in open sessions, too."""
    with psycopg.connect(server.superuser_url, autocommit=True) as connection:
        connection.execute("set default_transaction_read_only = off")
        connection.execute("alter system set default_transaction_read_only = on")
        connection.execute("select pg_reload_conf()")
        try:
            _wait_until(connection, "on")
            yield
        finally:
            connection.execute("alter system reset default_transaction_read_only")
            connection.execute("select pg_reload_conf()")
            _wait_until(connection, "off")


def _wait_until(connection: psycopg.Connection, value: str) -> None:
    while True:
        with psycopg.connect(connection.info.dsn, password=connection.info.password) as other:
            row = other.execute("show default_transaction_read_only").fetchone()
            if row is not None and row[0] == value:
                return
