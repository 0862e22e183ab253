"""What only an operator can mend, told by e-mail or chat through Apprise.

Whoever finds it raises an alert in its own transaction, in one line; a notifier tells it. What is
raised again within `QUIET_S` is told together, so that a full disk is one message.
"""

import logging
from dataclasses import dataclass
from datetime import datetime

from psycopg import Connection
from psycopg.rows import DictRow

from resources.postgres.connection import Postgres
from ytcaption.domain.errors import SetupError
from ytcaption.settings import Settings


class Operators:
    """Those that `YTCAPTION_NOTIFY_URLS` names.

    Raises:
        SetupError: it holds something that Apprise does not know.
    """

    def __init__(self, settings: Settings) -> None:
        urls = settings.notify_urls
        self._apprise = None
        if urls is not None and urls.get_secret_value().strip():
            import apprise

            for name in ("apprise", "urllib3"):  # they would write down where messages went
                logging.getLogger(name).setLevel(logging.CRITICAL + 1)
            self._apprise = apprise.Apprise()
            if not self._apprise.add(urls.get_secret_value()):
                raise SetupError("YTCAPTION_NOTIFY_URLS holds a URL that Apprise does not know.")

    def tell(self, title: str, text: str) -> bool:
        """Whether all have been told; also where there is nobody to be told."""
        return self._apprise is None or bool(self._apprise.notify(body=text, title=title))


logger = logging.getLogger(__name__)

QUIET_S = 3600.0
RETRY_S = 300.0
_LEASE_S = 120.0

_TEXTS = {
    "transcription_failed": "{number} transcriptions failed for good: {subject}. The last is {id}. "
    "Once it is mended: ytcaption admin retry --code {subject}",
    "webhook_disabled": "A receiver answered 410 Gone: the webhook {subject} is disabled, and its "
    "owner hears nothing until it is enabled again.",
    "breaker_opened": "Downloads from {subject} are held up: it refuses them, or fails.",
}


@dataclass(frozen=True)
class Alert:
    """Something to be told.

    Attributes:
        number: how often it came up since it was last told.
    """

    code: str
    subject: str
    number: int
    first_at: datetime
    last_id: str

    @property
    def title(self) -> str:
        """One line."""
        return f"ytcaption: {self.code.replace('_', ' ')} ({self.subject})"

    @property
    def text(self) -> str:
        """What happened and what to do: ids, codes and numbers only."""
        text = _TEXTS.get(self.code, "{number} times: {subject}.").format(
            number=self.number, subject=self.subject, id=self.last_id
        )
        return f"{text}\n\nSince {self.first_at:%Y-%m-%d %H:%M} UTC."


def raise_alert(
    connection: Connection[DictRow], code: str, subject: str = "", id: str = ""
) -> None:
    """Have operators told, once the transaction is committed.

    Args:
        code: what it is, such as `breaker_opened`.
        subject: what alerts of this kind are told apart by, such as a site.
        id: an example, such as a transcription's.
    """
    connection.execute("select ytcaption.raise_alert(%s, %s, %s)", (code, subject, id))


class Alerts:
    """Tells alerts to the operators of this installation."""

    def __init__(self, operators: Operators, postgres: Postgres) -> None:
        self._operators = operators
        self._postgres = postgres

    def send_due_alerts(self) -> int:
        """Tell what is to be told now; how much was. Without URLs it is forgotten.

        Raises:
            DatabaseUnavailable: as `Postgres.transaction`.
        """
        told = 0
        for alert in self._due():
            done = self._tell(alert)
            told += done
            with self._postgres.transaction() as connection:
                connection.execute(
                    """
                    update ytcaption.alert
                    set number = greatest(0, number - %(told)s),
                        first_at = case when number > %(told)s then last_at else first_at end,
                        next_try_at = now() + make_interval(secs => %(wait_s)s)
                    where code = %(code)s and subject = %(subject)s
                    """,
                    {
                        "told": alert.number if done else 0,
                        "wait_s": QUIET_S if done else RETRY_S,
                        "code": alert.code,
                        "subject": alert.subject,
                    },
                )
        return told

    def _due(self) -> list[Alert]:
        """What is this notifier's to tell, for as long as telling may take."""
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

    def _tell(self, alert: Alert) -> bool:
        logger.warning("alert: %s %s, %d times", alert.code, alert.subject, alert.number)
        if self._operators.tell(alert.title, alert.text):
            return True
        logger.error("operators could not be told of it: a service refuses the message")
        return False
