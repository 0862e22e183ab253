"""LISTEN/NOTIFY channels, and sending to them."""

from psycopg import Connection
from psycopg.rows import DictRow

WORK_CHANNEL = "ytcaption_work"
"""There may be work to start."""

PROGRESS_CHANNEL = "ytcaption_progress"
"""A transcription has made progress."""

ENDS_CHANNEL = "ytcaption_ends"
"""A run must end: its transcription was canceled, or took too long."""


def notify(connection: Connection[DictRow], channel: str, payload: str) -> None:
    """Notify listeners once the transaction is committed: a hint, since they poll as well."""
    connection.execute("select pg_notify(%s, %s)", (channel, payload))
