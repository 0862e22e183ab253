"""Digests: summaries of a channel's items, sent to operators once a day or week if wanted.

Messages are sent, not stored: they may hold titles, which events and alerts must not.
"""

import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.rows import DictRow

from resources.alerts import RETRY_S, Operators
from resources.postgres.connection import Postgres

logger = logging.getLogger(__name__)

MAX_SHOWN = 30
"""Items named, of those transcribed and of those that failed."""

MAX_TITLE_LENGTH = 100
_LEASE_S = 120.0
_TRANSCRIPTIONS = "/api/v1/transcriptions"

# A transaction that commits late has an earlier time: ending a minute ago misses none of those
# that took up to a minute.
_CLAIM = """
update ytcaption.channel
set digest_at = now() + make_interval(secs => %(lease_s)s)
where id in (
    select id from ytcaption.channel
    where digest <> 'never' and digest_at <= now() and deleted_at is null
    order by digest_at limit 20 for update skip locked)
returning id, coalesce(title, url) as name, digest, digest_until as since,
    now() - interval '1 minute' as until
"""

_ENDED = """
select item.title, item.url, t.id, t.status, t.error_code, t.duration_s
from ytcaption.channel_item as item
join ytcaption.transcription as t on t.id = item.transcription_id
where item.channel_id = %(id)s and (
    (t.status = 'completed' and t.completed_at > %(since)s and t.completed_at <= %(until)s)
    or (t.status = 'failed' and t.updated_at > %(since)s and t.updated_at <= %(until)s))
order by item.place, item.media_id
"""

_WAITING = """
select count(*) filter (where t.status in ('queued', 'running')) as queued,
    count(*) filter (where item.state = 'new') as new
from ytcaption.channel_item as item
left join ytcaption.transcription as t on t.id = item.transcription_id
where item.channel_id = %(id)s
"""

_RECORD_SENT = """
update ytcaption.channel
set digest_until = %(until)s,
    digest_at = now() + case digest when 'weekly' then interval '7 days' else interval '1 day' end
where id = %(id)s
"""


@dataclass(frozen=True)
class Digest:
    """A summary of a channel's items in a period.

    Attributes:
        ended: rows of items that were transcribed or failed, the newest first.
        waiting: its transcriptions that have not ended yet.
        new: items not enqueued yet.
        base: base URL of links; empty if the installation has no public address.
    """

    name: str
    since: datetime
    ended: list[dict[str, Any]]
    waiting: int
    new: int
    base: str

    @property
    def title(self) -> str:
        """Return the message's title, one line."""
        numbers = f"{len(self._of('completed')):,} transcribed"
        if failed := self._of("failed"):
            numbers += f", {len(failed):,} failed"
        return f"ytcaption: {_short(self.name)}: {numbers}"

    @property
    def text(self) -> str:
        """Return the message's text: each item's title, length or reason, and link."""
        lines = [f"Since {self.since:%Y-%m-%d %H:%M} UTC."]
        for heading, status in (("Transcribed", "completed"), ("Failed", "failed")):
            rows = self._of(status)
            if rows:
                lines += ["", f"{heading}: {len(rows):,}"]
                lines += [self._line(row) for row in rows[:MAX_SHOWN]]
            if len(rows) > MAX_SHOWN:
                lines.append(f"and {len(rows) - MAX_SHOWN:,} more")
        if self.waiting or self.new:
            lines += ["", f"In the queue: {self.waiting:,}. To be queued: {self.new:,}."]
        return "\n".join(lines)

    def _of(self, status: str) -> list[dict[str, Any]]:
        return [row for row in self.ended if row["status"] == status]

    def _line(self, row: dict[str, Any]) -> str:
        outcome = row["error_code"] or f"{(row['duration_s'] or 0.0) / 60:.1f} min"
        link = f"{self.base}{_TRANSCRIPTIONS}/{row['id']}" if self.base else row["id"]
        return f"- {_short(row['title'] or row['url'] or row['id'])} ({outcome}) {link}"


class ChannelDigests:
    """Sends due digests, one message per channel; several notifiers may run at once."""

    def __init__(self, operators: Operators, postgres: Postgres, base: str | None) -> None:
        self._operators = operators
        self._postgres = postgres
        self._base = base or ""

    def send_due_alerts(self) -> int:
        """Send the due digests; channels without ended items get none.

        Returns:
            How many were sent.

        Raises:
            DatabaseUnavailable: see `Postgres.transaction`.
        """
        with self._postgres.transaction() as connection:
            due = connection.execute(_CLAIM, {"lease_s": _LEASE_S}).fetchall()
        return sum(self._send(channel) for channel in due)

    def _send(self, channel: DictRow) -> bool:
        digest = self._digest(channel)
        is_sent = bool(digest.ended) and self._operators.notify(digest.title, digest.text)
        if is_sent:
            logger.info("sent a digest of %s: %d items", channel["id"], len(digest.ended))
        elif digest.ended:
            logger.error(
                "a digest of %s could not be sent: a notification service refused it", channel["id"]
            )
        with self._postgres.transaction() as connection:
            if is_sent or not digest.ended:
                connection.execute(_RECORD_SENT, {"id": channel["id"], "until": channel["until"]})
            else:
                connection.execute(
                    "update ytcaption.channel "
                    "set digest_at = now() + make_interval(secs => %s) where id = %s",
                    (RETRY_S, channel["id"]),
                )
        return is_sent

    def _digest(self, channel: DictRow) -> Digest:
        with self._postgres.transaction() as connection:
            ended = connection.execute(_ENDED, channel).fetchall()
            waiting = connection.execute(_WAITING, channel).fetchone()
            assert waiting is not None
        name, since = channel["name"], channel["since"]
        return Digest(name, since, ended, waiting["queued"], waiting["new"], self._base)


def _short(text: str) -> str:
    """Return untrusted text on one line."""
    line = "".join(each if each.isprintable() else " " for each in text)
    return line if len(line) <= MAX_TITLE_LENGTH else f"{line[: MAX_TITLE_LENGTH - 1]}…"
