"""Closes idle connections of processes that cannot bear an added column.

Versions before `cursor.StableCursor` prepare statements that return all columns of a table. After a
migration these fail once on each connection, or on all reads. A new connection has no prepared
statements, and a pool replaces a closed one without an error. The version after this one can do
without this module.
"""

import time

from psycopg import Connection

_POLL_S = 0.05
_MOST_S = 3.0

_CLOSE = """
select pid, pg_terminate_backend(pid) as is_closed from pg_stat_activity as session
where datname = current_database() and pid <> pg_backend_pid()
    and backend_type = 'client backend' and backend_start < %(before)s and state = 'idle'
    and state_change < clock_timestamp() - interval '20 milliseconds'
    and query not ilike 'listen%%'
    and not exists (
        select from pg_locks where pg_locks.pid = session.pid and locktype = 'advisory')
"""
"""Not connections that wait for notifications or hold an advisory lock: these execute nothing."""


def close_idle_sessions(connection: Connection) -> None:
    """Close the connections of others that were opened before now, as soon as each is idle.

    Those that are at work for seconds are left alone.
    """
    (before,) = connection.execute("select clock_timestamp()").fetchone() or (None,)
    deadline = time.monotonic() + _MOST_S
    while time.monotonic() < deadline:
        connection.execute(_CLOSE, {"before": before})
        row = connection.execute(
            "select count(*) from pg_stat_activity "
            "where datname = current_database() and pid <> pg_backend_pid() "
            "and backend_type = 'client backend' and backend_start < %s and query not ilike %s",
            (before, "listen%"),
        ).fetchone()
        if row is None or row[0] == 0:
            return
        time.sleep(_POLL_S)
