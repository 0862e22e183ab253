"""What became of a channel's items, told to operators once a day or a week where it is wanted.

Messages are sent and not kept: titles may be in them, which events and alerts must not hold.
"""

import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.rows import DictRow

from resources.alerts import RETRY_S, Operators
from resources.postgres.connection import Postgres

logger = logging.getLogger(__name__)

SHOWN = 30
"""Items that are named, of those transcribed and of those that failed."""

LONGEST_TITLE = 100
_LEASE_S = 120.0
_TRANSCRIPTIONS = "/api/v1/transcriptions"

# What ends in a transaction that is committed late has an earlier time: none is missed that took no
# longer than a minute.
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

_TOLD = """
update ytcaption.channel
set digest_until = %(until)s,
    digest_at = now() + case digest when 'weekly' then interval '7 days' else interval '1 day' end
where id = %(id)s
"""


@dataclass(frozen=True)
class Digest:
    """What became of a channel's items in a time.

    Attributes:
        ended: rows of those that were transcribed or failed, the newest item first.
        waiting: of its transcriptions, not ended yet.
        new: items to be asked for.
        base: of links; empty where the installation has no public address.
    """

    name: str
    since: datetime
    ended: list[dict[str, Any]]
    waiting: int
    new: int
    base: str

    @property
    def title(self) -> str:
        """One line."""
        numbers = f"{len(self._of('completed')):,} transcribed"
        if failed := self._of("failed"):
            numbers += f", {len(failed):,} failed"
        return f"ytcaption: {_short(self.name)}: {numbers}"

    @property
    def text(self) -> str:
        """Each item's title, length or reason, and where its transcript is."""
        lines = [f"Since {self.since:%Y-%m-%d %H:%M} UTC."]
        for heading, status in (("Transcribed", "completed"), ("Failed", "failed")):
            rows = self._of(status)
            if rows:
                lines += ["", f"{heading}: {len(rows):,}"]
                lines += [self._line(row) for row in rows[:SHOWN]]
            if len(rows) > SHOWN:
                lines.append(f"and {len(rows) - SHOWN:,} more")
        if self.waiting or self.new:
            lines += ["", f"In the queue: {self.waiting:,}. To be asked for: {self.new:,}."]
        return "\n".join(lines)

    def _of(self, status: str) -> list[dict[str, Any]]:
        return [row for row in self.ended if row["status"] == status]

    def _line(self, row: dict[str, Any]) -> str:
        what = row["error_code"] or f"{(row['duration_s'] or 0.0) / 60:.1f} min"
        link = f"{self.base}{_TRANSCRIPTIONS}/{row['id']}" if self.base else row["id"]
        return f"- {_short(row['title'] or row['url'] or row['id'])} ({what}) {link}"


class ChannelDigests:
    """Tells what is due, one message a channel; any number of notifiers may do so side by side."""

    def __init__(self, operators: Operators, postgres: Postgres, base: str | None) -> None:
        self._operators = operators
        self._postgres = postgres
        self._base = base or ""

    def send_due_alerts(self) -> int:
        """How many were sent. Where nothing has become of a channel nothing is.

        Raises:
            DatabaseUnavailable: as `Postgres.transaction`.
        """
        with self._postgres.transaction() as connection:
            due = connection.execute(_CLAIM, {"lease_s": _LEASE_S}).fetchall()
        return sum(self._tell(channel) for channel in due)

    def _tell(self, channel: DictRow) -> bool:
        digest = self._digest(channel)
        is_told = bool(digest.ended) and self._operators.tell(digest.title, digest.text)
        if is_told:
            logger.info("a digest of %s: %d items", channel["id"], len(digest.ended))
        elif digest.ended:
            logger.error("a digest of %s could not be sent: a service refuses it", channel["id"])
        with self._postgres.transaction() as connection:
            if is_told or not digest.ended:
                connection.execute(_TOLD, {"id": channel["id"], "until": channel["until"]})
            else:
                connection.execute(
                    "update ytcaption.channel "
                    "set digest_at = now() + make_interval(secs => %s) where id = %s",
                    (RETRY_S, channel["id"]),
                )
        return is_told

    def _digest(self, channel: DictRow) -> Digest:
        with self._postgres.transaction() as connection:
            ended = connection.execute(_ENDED, channel).fetchall()
            waiting = connection.execute(_WAITING, channel).fetchone()
            assert waiting is not None
        name, since = channel["name"], channel["since"]
        return Digest(name, since, ended, waiting["queued"], waiting["new"], self._base)


def _short(text: str) -> str:
    """A stranger's text on one line."""
    line = "".join(each if each.isprintable() else " " for each in text)
    return line if len(line) <= LONGEST_TITLE else f"{line[: LONGEST_TITLE - 1]}…"
