"""LISTEN/NOTIFY channels, and telling them."""

from psycopg import Connection
from psycopg.rows import DictRow

WORK_CHANNEL = "ytcaption_work"


PROGRESS_CHANNEL = "ytcaption_progress"


ENDS_CHANNEL = "ytcaption_ends"
"""A run is to end: its transcription was canceled, or took too long."""


def notify(connection: Connection[DictRow], channel: str, payload: str) -> None:
    """Tell listeners once the transaction is committed: a hint, since every listener polls, too."""
    connection.execute("select pg_notify(%s, %s)", (channel, payload))
