"""Alerts: problems that only an operator can solve, sent by e-mail or chat through Apprise.

The code that detects a problem raises an alert in its own transaction; a notifier sends it. Alerts
of one kind within `QUIET_S` are sent together, so that a full disk is one message.
"""

import logging
from dataclasses import dataclass
from datetime import datetime

from psycopg import Connection
from psycopg.rows import DictRow

from resources.postgres.connection import Postgres
from ytcaption.domain.errors import SetupError
from ytcaption.settings.settings import Settings


class Operators:
    """The recipients in `YTCAPTION_NOTIFY_URLS`.

    Raises:
        SetupError: it contains a URL that Apprise does not know.
    """

    def __init__(self, settings: Settings) -> None:
        urls = settings.operation.notify_urls
        self._apprise = None
        if urls is not None and urls.get_secret_value().strip():
            import apprise

            for name in ("apprise", "urllib3"):  # they would log the recipients' URLs
                logging.getLogger(name).setLevel(logging.CRITICAL + 1)
            self._apprise = apprise.Apprise()
            if not self._apprise.add(urls.get_secret_value()):
                raise SetupError("YTCAPTION_NOTIFY_URLS contains a URL that Apprise does not know.")

    def notify(self, title: str, text: str) -> bool:
        """Send a message; return whether all recipients got it, also if there are none."""
        return self._apprise is None or bool(self._apprise.notify(body=text, title=title))


logger = logging.getLogger(__name__)

QUIET_S = 3600.0
RETRY_S = 300.0
_LEASE_S = 120.0

_TEXTS = {
    "transcription_failed": "{number} transcriptions failed for good: {subject}. The last is {id}. "
    "Once the cause is fixed: ytcaption admin retry --code {subject}",
    "webhook_disabled": "A receiver answered 410 Gone: the webhook {subject} is disabled, and its "
    "owner gets no events until it is enabled again.",
    "standstill": "The pipeline stands still: {subject}. `ytcaption status` says why, and "
    "`ytcaption doctor --repair` repairs what it can.",
    "pause_forgotten": "Something was paused long ago and is paused still: `ytcaption status` says "
    "what, and how to resume it.",
    "breaker_opened": "Downloads from {subject} are suspended: the site refuses them, or fails.",
}


@dataclass(frozen=True)
class Alert:
    """A kind of problem to report.

    Attributes:
        number: occurrences since it was last reported.
    """

    code: str
    subject: str
    number: int
    first_at: datetime
    last_id: str

    @property
    def title(self) -> str:
        """Return the message's title, one line."""
        return f"ytcaption: {self.code.replace('_', ' ')} ({self.subject})"

    @property
    def text(self) -> str:
        """Return what happened and what to do, with ids, codes and numbers only."""
        text = _TEXTS.get(self.code, "{number} times: {subject}.").format(
            number=self.number, subject=self.subject, id=self.last_id
        )
        return f"{text}\n\nSince {self.first_at:%Y-%m-%d %H:%M} UTC."


def raise_alert(
    connection: Connection[DictRow], code: str, subject: str = "", id: str = ""
) -> None:
    """Record a problem to report to operators once the transaction is committed.

    Args:
        code: its kind, such as `breaker_opened`.
        subject: distinguishes problems of one kind, such as a site.
        id: an example, such as a transcription's.
    """
    connection.execute("select ytcaption.raise_alert(%s, %s, %s)", (code, subject, id))


class Alerts:
    """Sends alerts to the operators of this installation."""

    def __init__(self, operators: Operators, postgres: Postgres) -> None:
        self._operators = operators
        self._postgres = postgres

    def send_due_alerts(self) -> int:
        """Send the alerts that are due; without recipients they are only logged.

        Returns:
            How many were sent.

        Raises:
            DatabaseUnavailable: see `Postgres.transaction`.
        """
        sent = 0
        for alert in self._due():
            is_sent = self._send(alert)
            sent += is_sent
            with self._postgres.transaction() as connection:
                connection.execute(
                    """
                    update ytcaption.alert
                    set number = greatest(0, number - %(sent)s),
                        first_at = case when number > %(sent)s then last_at else first_at end,
                        next_try_at = now() + make_interval(secs => %(wait_s)s)
                    where code = %(code)s and subject = %(subject)s
                    """,
                    {
                        "sent": alert.number if is_sent else 0,
                        "wait_s": QUIET_S if is_sent else RETRY_S,
                        "code": alert.code,
                        "subject": alert.subject,
                    },
                )
        return sent

    def _due(self) -> list[Alert]:
        """Return the due alerts, leased to this notifier for the time that sending may take."""
        with self._postgres.transaction() as connection:
            rows = connection.execute(
                """
                update ytcaption.alert set next_try_at = now() + make_interval(secs => %s)
                where (code, subject) in (
                    select code, subject from ytcaption.alert
                    where number > 0 and next_try_at <= now() for update skip locked)
                returning code, subject, number, first_at, last_id
                """,
                (_LEASE_S,),
            ).fetchall()
        return [Alert(**row) for row in rows]

    def _send(self, alert: Alert) -> bool:
        logger.warning("alert: %s %s, %d times", alert.code, alert.subject, alert.number)
        if self._operators.notify(alert.title, alert.text):
            return True
        logger.error("an alert could not be sent: a notification service refused it")
        return False
