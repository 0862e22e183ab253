"""Time budgets: how long a caller waits for an answer of the database.

The server's own time-outs do not help against a server that hangs, and TCP's do not either: the
kernel of its machine acknowledges packets for it. So the waiting side watches the time itself:

- Inside `answer_within` every wait for the database ends when the time is up: the API gives each
  request such a budget (docs/adr/security-rules.md#rule-57).
- Elsewhere a statement may take as long as its `statement_s`. If it is not answered for a while,
  the server is probed on another connection, so that a long statement is not taken for a
  server that hangs.
"""

import logging
import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, cast

import psycopg
from psycopg import Connection, Cursor, Pipeline
from psycopg.pq import PipelineStatus, TransactionStatus
from psycopg.rows import DictRow

logger = logging.getLogger(__name__)

CONNECT_S = 5
"""Longest time until a connection is made."""

STATEMENT_S = 60.0
"""Longest statement, unless a caller says otherwise; the server enforces it, too."""

CONNECT_PARAMETERS: dict[str, Any] = {
    "connect_timeout": CONNECT_S,
    # A peer that vanished is detected in seconds, not after the kernel's fifteen minutes for what
    # was sent to it, or its two hours for an idle connection.
    "tcp_user_timeout": 10_000,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
}
"""Parameters of libpq for every connection of ours, Dagster's included."""

_GRACE_S = 5.0  # beyond the server's own limit, whose error says more
_SHORTEST_S = 0.25  # a rollback after the time is up
_SHARED_S = 1.0  # a probe's result serves all threads for so long


@dataclass
class Patience:
    """How long the current task waits for the database.

    Attributes:
        budget_s: for all waits together; None: as long as each statement may take.
        deadline: end of the budget, by `time.monotonic()`.
        connect_s: longest wait for a connection.
        probe_after_s: a statement without an answer for so long leads to a probe of the server.
        probe_s: longest time for the probe's answer.
    """

    budget_s: float | None = None
    deadline: float = math.inf
    connect_s: float = float(CONNECT_S)
    probe_after_s: float = 10.0
    probe_s: float = 5.0

    def restart(self) -> None:
        """Let the budget begin now."""
        if self.budget_s is not None:
            self.deadline = time.monotonic() + self.budget_s


_WITHOUT_BUDGET = Patience()
_patience: ContextVar[Patience] = ContextVar("ytcaption_patience", default=_WITHOUT_BUDGET)


@contextmanager
def answer_within(seconds: float) -> Iterator[Patience]:
    """Let every wait for the database inside end within this time, all together."""
    patience = Patience(budget_s=seconds)
    patience.restart()
    with _set(patience):
        yield patience


@contextmanager
def hang_noticed_within(seconds: float) -> Iterator[Patience]:
    """Let statements inside take their time, but notice a server that hangs within this time."""
    half_s = seconds / 2
    patience = Patience(connect_s=half_s, probe_after_s=half_s, probe_s=half_s)
    with _set(patience):
        yield patience


def left_s(most_s: float) -> float:
    """Return the seconds that connecting may take: `most_s`, or less within a budget."""
    patience = _patience.get()
    return min(most_s, patience.connect_s, patience.deadline - time.monotonic())


@contextmanager
def _set(patience: Patience) -> Iterator[None]:
    token = _patience.set(patience)
    try:
        yield
    finally:
        _patience.reset(token)


class NoAnswer(psycopg.OperationalError):
    """The server did not answer in time; the connection is closed."""


class WatchedConnection(Connection[DictRow]):
    """A connection that does not wait for ever.

    Attributes:
        statement_s: longest statement.
        probe_url: URL by which the server is probed; None: it is not.
    """

    statement_s = STATEMENT_S
    probe_url: str | None = None

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        """Wait for the server as psycopg does, for a limited time.

        Raises:
            NoAnswer: the server did not answer.
        """
        if timeout is not None:  # psycopg's own limit, such as that of `notifies`
            return super().wait(gen, interval, timeout)
        patience = _patience.get()
        give_up_at = min(time.monotonic() + self.statement_s + _GRACE_S, patience.deadline)
        while True:
            left = max(give_up_at - time.monotonic(), _SHORTEST_S)
            try:
                return super().wait(gen, interval, min(left, patience.probe_after_s))
            except psycopg.errors._WaitTimeout:
                is_up = time.monotonic() >= give_up_at
                if is_up or not self._server_answers(patience.probe_s):
                    self.pgconn.finish()
                    raise NoAnswer("the server did not answer in time") from None

    def execute(
        self, query: Any, params: Any = None, *, prepare: bool | None = None, binary: bool = False
    ) -> Cursor[DictRow]:
        """Execute a statement; a transaction begins in the same round trip as its first one."""
        is_first = (
            Pipeline.is_supported()
            and not self.autocommit
            and self.pgconn.transaction_status == TransactionStatus.IDLE
            and self.pgconn.pipeline_status == PipelineStatus.OFF
        )
        if not is_first:
            return super().execute(query, params, prepare=prepare, binary=binary)
        with self.pipeline():
            return super().execute(query, params, prepare=prepare, binary=binary)

    def _server_answers(self, limit_s: float) -> bool:
        return self.probe_url is None or _probes.answers(self.probe_url, limit_s)


def watch(connection: Connection[Any], url: str, statement_s: float = STATEMENT_S) -> None:
    """Let a watched connection probe its server, and limit its statements to `statement_s`."""
    watched = cast(WatchedConnection, connection)
    watched.probe_url, watched.statement_s = url, statement_s


@dataclass
class _Probe:
    lock: threading.Lock = field(default_factory=threading.Lock)
    made_at: float = float("-inf")
    has_answered: bool = True


class _Probes:
    """The last probe of each server, shared by the threads of a process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_url: dict[str, _Probe] = {}

    def answers(self, url: str, limit_s: float) -> bool:
        """Return whether the server answers a new connection within the limit."""
        with self._lock:
            probe = self._by_url.setdefault(url, _Probe())
        called_at = time.monotonic()
        with probe.lock:
            if called_at - probe.made_at > _SHARED_S:
                probe.has_answered = _answers(url, limit_s)
                probe.made_at = time.monotonic()
            return probe.has_answered


_probes = _Probes()


def _answers(url: str, limit_s: float) -> bool:
    parameters: dict[str, Any] = CONNECT_PARAMETERS | {"connect_timeout": max(2, int(limit_s))}
    try:
        with answer_within(limit_s):
            connection = WatchedConnection.connect(url, autocommit=True, **parameters)
            with connection:
                connection.execute("select 1")
    except (NoAnswer, psycopg.errors.ConnectionTimeout):
        logger.warning("the database does not answer")
        return False
    except psycopg.Error:
        return True  # it refuses connections, and so it answers; the statement's own socket decides
    return True
