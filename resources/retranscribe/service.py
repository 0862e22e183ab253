"""Making transcriptions anew with other options: the same media, a version more.

What fits is read in batches by its id, and asked for as everything is, at bulk priority, for each
who asked for the version that it is made from. Done again, it asks for what is not there yet and no
more; so does what goes on after a kill.
"""

import logging
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, LiteralString

from psycopg import Connection, sql
from psycopg.rows import DictRow

from resources.postgres.connection import Postgres
from resources.postgres.predicates import is_erased, is_visible_to_owner
from resources.retranscribe.columns import AUDIO_S, COLUMNS, IS_CHANGED
from resources.retranscribe.plan import GONE, MADE, SAME, SHARED, Anew, Kind, Wanted
from resources.transcriptions.intake import enqueue_requests
from resources.transcriptions.quotas import within_limits
from resources.transcriptions.rows import LISTED, MEDIA_COLUMNS, TranscriptionRequest, media_row
from resources.transcriptions.state import NO_AUDIO
from ytcaption.domain.caller import LOCAL_OWNER
from ytcaption.domain.errors import InputError, YtcaptionError
from ytcaption.domain.request import TranscriptionOptions, checked_options, partition_key

logger = logging.getLogger(__name__)

BATCH = 200

_OWNERS: LiteralString = """(
    select coalesce(array_agg(distinct owner), '{}') from ytcaption.request
    where transcription_id = t.id)"""
_MEDIA: LiteralString = ", ".join([f"m.{name} as media__{name}" for name in MEDIA_COLUMNS])
_CANDIDATES: LiteralString = f"""
    select t.id, t.options, t.completed_at, {COLUMNS["model"].source} as made_by,
        coalesce(t.language, t.options ->> 'language') as language,
        coalesce({AUDIO_S}, 0) as audio_s, {IS_CHANGED} as is_changed, {_MEDIA},
        exists (
            select from ytcaption.channel_item i
            where i.media_id = m.id and i.changed_at > m.audio_stored_at) as has_old_audio,
        {_OWNERS} as owners
    from ytcaption.transcription t
    join ytcaption.media m on m.id = t.media_id
    left join ytcaption.caption_accuracy a
        on a.transcription_id = t.id and a.document_sha256 = t.document_sha256
    where t.id > %(after)s and not {is_erased("t.id")} and {is_visible_to_owner("t.id")}
"""  # noqa: S608


def enqueue_retranscriptions(
    postgres: Postgres,
    allowed_models: Sequence[str],
    wanted: Wanted,
    *,
    dry_run: bool,
    after: str = "",
    is_over: Callable[[], bool] = lambda: False,
    on_batch: Callable[[Anew], None] = lambda _: None,
) -> Anew:
    """Ask for another version of everything that fits; repeated, of what is left.

    Args:
        dry_run: only tell what would be asked for.
        after: id behind which to begin, of an answer before.
        is_over: asked after each batch.
        on_batch: told after each how far it is.

    Raises:
        DatabaseUnavailable, SetupError: as `Postgres.transaction`.
    """
    found = Anew(after=after)
    known: dict[str, set[str]] = {}
    while found.after is not None:
        with postgres.transaction() as connection:
            rows = _candidates(connection, wanted, found.after)
            _Batch(connection, allowed_models, wanted, found, known, dry_run).take(rows)
        if len(rows) < BATCH and (wanted.limit is None or found.number < wanted.limit):
            found.after = None
        on_batch(found)
        if is_over() or (wanted.limit is not None and found.number >= wanted.limit):
            break
    if not dry_run:
        logger.info("%d versions asked for, %d joined", found.number, found.joined)
    return found


def _candidates(connection: Connection[DictRow], wanted: Wanted, after: str) -> list[DictRow]:
    status = "" if "status" in wanted.filter.columns else " and t.status = 'completed'"
    statement = sql.SQL("{}{} and {} order by t.id limit {}").format(
        sql.SQL(_CANDIDATES), sql.SQL(status), wanted.filter.condition, sql.Literal(BATCH)
    )
    values = wanted.filter.values | {"after": after, "owner": wanted.owner}
    return connection.execute(statement, values).fetchall()


@dataclass(frozen=True)
class _Asked:
    """One version that is asked for.

    Attributes:
        row: the one that it is made from.
        owners: who ask.
        is_forced: it is there, and made anew.
        is_there: it is, or is asked for by an earlier row.
    """

    row: DictRow
    request: TranscriptionRequest
    owners: Sequence[str]
    is_forced: bool
    is_there: bool

    @property
    def makes_one(self) -> bool:
        """Something is transcribed for it."""
        return self.is_forced or not self.is_there


class _Batch:
    """Some of those that fit, in one transaction."""

    def __init__(
        self,
        connection: Connection[DictRow],
        allowed_models: Sequence[str],
        wanted: Wanted,
        found: Anew,
        known: dict[str, set[str]],
        dry_run: bool,
    ) -> None:
        self._connection = connection
        self._models = allowed_models
        self._wanted = wanted
        self._found = found
        self._known = known
        self._dry_run = dry_run
        self._asked: list[_Asked] = []

    def take(self, rows: Sequence[DictRow]) -> None:
        """Ask for what they become, until the limit."""
        planned = [(row, self._planned(row)) for row in rows]
        ids = [request.id for _, request in planned if request is not None]
        there = _there(self._connection, ids)
        for row, request in planned:
            limit = self._wanted.limit
            if limit is not None and self._found.number >= limit:
                break
            self._found.after = row["id"]
            self._found.looked_at += 1
            if request is not None:
                self._ask(row, request, there)
        if self._dry_run:
            made = [each.request.id for each in self._asked if each.makes_one]
            self._found.ids += made[: LISTED - len(self._found.ids)]
        else:
            self._send()

    def _planned(self, row: DictRow) -> TranscriptionRequest | None:
        """What the row becomes; None is told of at once."""
        before = TranscriptionOptions(**row["options"])
        media = media_row({name: row[f"media__{name}"] for name in MEDIA_COLUMNS})
        try:
            options = checked_options(
                model=self._wanted.model or before.model,
                allowed_models=self._models,
                language=self._wanted.language or before.language,
                task=before.task,
                initial_prompt=before.initial_prompt,
                hotwords=before.hotwords,
                temperature=before.temperature,
                captions=self._wanted.captions or before.captions or "prefer",
            )
        except InputError as error:
            self._found.left_out[error.message] += 1
            return None
        id = partition_key(media.source.media_id, options)
        reason = None
        if id == row["id"] and not row["is_changed"]:
            reason = SAME
        elif media.source.kind == "upload" and media.audio is None:
            reason = GONE
        if reason is not None:
            self._found.left_out[reason] += 1
            return None
        return TranscriptionRequest(media.source, options, "bulk")

    def _ask(self, row: DictRow, request: TranscriptionRequest, there: dict[str, DictRow]) -> None:
        """For each who asked for the row, and has not asked for this."""
        id, version = request.id, there.get(request.id)
        asked = self._known.get(id, set()) | set(version["owners"] if version else ())
        is_there = version is not None or id in self._known
        is_forced = version is not None and version["is_changed"] and id not in self._known
        wanted = [self._wanted.owner] if self._wanted.owner else row["owners"] or [LOCAL_OWNER]
        owners = [owner for owner in wanted if owner not in asked]
        if is_there and not (owners or is_forced):
            self._found.left_out[MADE] += 1
            return
        if is_forced and self._wanted.owner and asked - {self._wanted.owner}:
            self._found.left_out[SHARED] += 1
            return
        self._known[id] = asked | set(owners)
        if is_there and not is_forced:
            self._found.joined += 1
        else:
            self._count(row, request, 1)
        self._asked.append(_Asked(row, request, owners or wanted, is_forced, is_there))

    def _count(self, row: DictRow, request: TranscriptionRequest, step: int) -> None:
        """One that is made more, or less."""
        kind = Kind(row["made_by"], request.options.model, row["language"])
        self._found.number += step
        self._found.audio_s += step * row["audio_s"]
        self._found.kinds[kind] += step
        self._found.audio_s_by_kind[kind] += step * row["audio_s"]

    def _send(self) -> None:
        """In a few statements an owner. The first one's request makes a version, or has it made
        anew; the others share it."""
        by_owner: dict[str, list[TranscriptionRequest]] = defaultdict(list)
        for each in self._asked:
            if each.row["has_old_audio"]:
                _forget_audio(self._connection, each.row["media__id"])
            for place, owner in enumerate(each.owners):
                force = each.is_forced and place == 0
                by_owner[owner].append(replace(each.request, force=force))
        refused: dict[str, str] = {}
        for owner, requests in by_owner.items():
            refused |= self._taken(owner, requests)
        for each in self._asked:
            id = each.request.id
            if id in refused:
                self._found.left_out[refused[id]] += 1
                if each.makes_one:
                    self._count(each.row, each.request, -1)
                else:
                    self._found.joined -= 1
            elif each.makes_one and len(self._found.ids) < LISTED:
                self._found.ids.append(id)

    def _taken(self, owner: str, requests: list[TranscriptionRequest]) -> dict[str, str]:
        """Asks for them; what is refused, by id, and why."""
        allowed: Sequence[Any] = requests
        if self._wanted.limits is not None:
            allowed = within_limits(self._connection, requests, owner, self._wanted.limits)
        asked = [each for each in allowed if isinstance(each, TranscriptionRequest)]
        answers = enqueue_requests(self._connection, asked, owner) if asked else []
        pairs = [*zip(requests, allowed, strict=True), *zip(asked, answers, strict=True)]
        return {
            request.id: answer.message
            for request, answer in pairs
            if isinstance(answer, YtcaptionError)
        }


def _there(connection: Connection[DictRow], ids: Sequence[str]) -> dict[str, DictRow]:
    """Versions that are there, with who has asked for them."""
    rows = connection.execute(
        f"""
        select t.id, {IS_CHANGED} as is_changed, {_OWNERS} as owners
        from ytcaption.transcription t join ytcaption.media m on m.id = t.media_id
        where t.id = any(%s)
        """,  # noqa: S608
        (list(ids),),
    ).fetchall()
    return {row["id"]: row for row in rows}


def _forget_audio(connection: Connection[DictRow], media_id: str) -> None:
    """It is of before the change: the next run fetches what there is now."""
    connection.execute(
        sql.SQL("update ytcaption.media set {} where id = {} and kind <> 'upload'").format(
            sql.SQL(NO_AUDIO), sql.Literal(media_id)
        )
    )
