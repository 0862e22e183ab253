"""Retranscription: requests further versions of media, with other options.

Matching transcriptions are read in batches by id. A new version is requested like any other
transcription, at bulk priority, for each owner of the version it replaces. Repeated, or continued
after a crash, it requests only the versions that do not exist yet.
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
from resources.retranscribe.plan import (
    EXISTS,
    SAME_OPTIONS,
    SHARED,
    UPLOAD_MISSING,
    RetranscriptionGroup,
    RetranscriptionPlan,
    RetranscriptionResult,
)
from resources.transcriptions.intake import enqueue_requests
from resources.transcriptions.quotas import within_limits
from resources.transcriptions.rows import LISTED, TranscriptionRequest, media_row
from resources.transcriptions.seen_media import MEDIA_COLUMNS, media_columns
from resources.transcriptions.state import NO_AUDIO
from ytcaption.domain.caller import LOCAL_OWNER
from ytcaption.domain.errors import InputError, YtcaptionError
from ytcaption.domain.request import TranscriptionOptions, checked_options, partition_key

logger = logging.getLogger(__name__)

BATCH = 200
"""Transcriptions examined per transaction."""

_OWNERS: LiteralString = """(
    select coalesce(array_agg(distinct owner), '{}') from ytcaption.request
    where transcription_id = t.id)"""
_MEDIA: LiteralString = media_columns("m", "%(owner)s", "media__")
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
    plan: RetranscriptionPlan,
    *,
    dry_run: bool,
    after: str = "",
    is_over: Callable[[], bool] = lambda: False,
    on_batch: Callable[[RetranscriptionResult], None] = lambda _: None,
) -> RetranscriptionResult:
    """Request a new version of every transcription that matches the plan.

    Args:
        dry_run: request nothing; only return what would be requested.
        after: id to begin after, from an earlier result.
        is_over: called after each batch; true ends the call.
        on_batch: called with the result so far after each batch.

    Raises:
        DatabaseUnavailable, SetupError: as `Postgres.transaction`.
    """
    result = RetranscriptionResult(after=after)
    owners_by_id: dict[str, set[str]] = {}
    while result.after is not None:
        with postgres.transaction() as connection:
            rows = _candidates(connection, plan, result.after)
            _Batch(connection, allowed_models, plan, result, owners_by_id, dry_run).process(rows)
        if len(rows) < BATCH and (plan.limit is None or result.number < plan.limit):
            result.after = None
        on_batch(result)
        if is_over() or (plan.limit is not None and result.number >= plan.limit):
            break
    if not dry_run:
        logger.info("%d versions requested, %d joined", result.number, result.joined)
    return result


def _candidates(
    connection: Connection[DictRow], plan: RetranscriptionPlan, after: str
) -> list[DictRow]:
    status = "" if "status" in plan.filter.columns else " and t.status = 'completed'"
    statement = sql.SQL("{}{} and {} order by t.id limit {}").format(
        sql.SQL(_CANDIDATES), sql.SQL(status), plan.filter.condition, sql.Literal(BATCH)
    )
    values = plan.filter.values | {"after": after, "owner": plan.owner}
    return connection.execute(statement, values).fetchall()


@dataclass(frozen=True)
class _NewVersion:
    """One version to request.

    Attributes:
        row: the transcription it replaces.
        owners: owners to request it for.
        is_forced: it exists and is made again.
        exists: it exists, or was requested for an earlier row.
    """

    row: DictRow
    request: TranscriptionRequest
    owners: Sequence[str]
    is_forced: bool
    exists: bool

    @property
    def is_transcribed(self) -> bool:
        """Whether the request causes a transcription."""
        return self.is_forced or not self.exists


class _Batch:
    """One batch of matching transcriptions, in one transaction."""

    def __init__(
        self,
        connection: Connection[DictRow],
        allowed_models: Sequence[str],
        plan: RetranscriptionPlan,
        result: RetranscriptionResult,
        owners_by_id: dict[str, set[str]],
        dry_run: bool,
    ) -> None:
        self._connection = connection
        self._models = allowed_models
        self._plan = plan
        self._result = result
        self._owners_by_id = owners_by_id
        self._dry_run = dry_run
        self._versions: list[_NewVersion] = []

    def process(self, rows: Sequence[DictRow]) -> None:
        """Request the new versions of these rows, up to the limit."""
        requests = [(row, self._request(row)) for row in rows]
        ids = [request.id for _, request in requests if request is not None]
        existing = _existing(self._connection, ids)
        for row, request in requests:
            limit = self._plan.limit
            if limit is not None and self._result.number >= limit:
                break
            self._result.after = row["id"]
            self._result.examined += 1
            if request is not None:
                self._add(row, request, existing)
        if self._dry_run:
            ids = [each.request.id for each in self._versions if each.is_transcribed]
            self._result.ids += ids[: LISTED - len(self._result.ids)]
        else:
            self._submit()

    def _request(self, row: DictRow) -> TranscriptionRequest | None:
        """Return the request for the row's new version; None if it is excluded, which is counted at
        once."""
        before = TranscriptionOptions(**row["options"])
        media = media_row({name: row[f"media__{name}"] for name in MEDIA_COLUMNS})
        try:
            options = checked_options(
                model=self._plan.model or before.model,
                allowed_models=self._models,
                language=self._plan.language or before.language,
                task=before.task,
                initial_prompt=before.initial_prompt,
                hotwords=before.hotwords,
                temperature=before.temperature,
                captions=self._plan.captions or before.captions or "prefer",
            )
        except InputError as error:
            self._result.excluded[error.message] += 1
            return None
        id = partition_key(media.source.media_id, options)
        reason = None
        if id == row["id"] and not row["is_changed"]:
            reason = SAME_OPTIONS
        elif media.source.kind == "upload" and media.audio is None:
            reason = UPLOAD_MISSING
        if reason is not None:
            self._result.excluded[reason] += 1
            return None
        return TranscriptionRequest(media.source, options, "bulk", inherits=True)

    def _add(
        self, row: DictRow, request: TranscriptionRequest, existing: dict[str, DictRow]
    ) -> None:
        """Plan the request for each owner of the row who has not requested the new version."""
        id, version = request.id, existing.get(request.id)
        requested_by = self._owners_by_id.get(id, set()) | set(version["owners"] if version else ())
        exists = version is not None or id in self._owners_by_id
        is_forced = version is not None and version["is_changed"] and id not in self._owners_by_id
        of_row = [self._plan.owner] if self._plan.owner else row["owners"] or [LOCAL_OWNER]
        owners = [owner for owner in of_row if owner not in requested_by]
        if exists and not (owners or is_forced):
            self._result.excluded[EXISTS] += 1
            return
        if is_forced and self._plan.owner and requested_by - {self._plan.owner}:
            self._result.excluded[SHARED] += 1
            return
        self._owners_by_id[id] = requested_by | set(owners)
        if exists and not is_forced:
            self._result.joined += 1
        else:
            self._count(row, request, 1)
        self._versions.append(_NewVersion(row, request, owners or of_row, is_forced, exists))

    def _count(self, row: DictRow, request: TranscriptionRequest, step: int) -> None:
        """Add a new version to the result (step 1), or remove it (step -1)."""
        group = RetranscriptionGroup(row["made_by"], request.options.model, row["language"])
        self._result.number += step
        self._result.audio_s += step * row["audio_s"]
        self._result.groups[group] += step
        self._result.audio_s_by_group[group] += step * row["audio_s"]

    def _submit(self) -> None:
        """Submit the planned requests, in a few statements per owner. The request of a version's
        first owner creates it, or forces it to be made again; the other owners share it."""
        by_owner: dict[str, list[TranscriptionRequest]] = defaultdict(list)
        for each in self._versions:
            if each.row["has_old_audio"]:
                _remove_audio(self._connection, each.row["media__id"])
            for position, owner in enumerate(each.owners):
                force = each.is_forced and position == 0
                by_owner[owner].append(replace(each.request, force=force))
        refused: dict[str, str] = {}
        for owner, requests in by_owner.items():
            refused |= self._enqueue(owner, requests)
        for each in self._versions:
            id = each.request.id
            if id in refused:
                self._result.excluded[refused[id]] += 1
                if each.is_transcribed:
                    self._count(each.row, each.request, -1)
                else:
                    self._result.joined -= 1
            elif each.is_transcribed and len(self._result.ids) < LISTED:
                self._result.ids.append(id)

    def _enqueue(self, owner: str, requests: list[TranscriptionRequest]) -> dict[str, str]:
        """Submit an owner's requests. Return why requests were refused, by id."""
        checked: Sequence[Any] = requests
        if self._plan.limits is not None:
            checked = within_limits(self._connection, requests, owner, self._plan.limits)
        allowed = [each for each in checked if isinstance(each, TranscriptionRequest)]
        answers = enqueue_requests(self._connection, allowed, owner) if allowed else []
        pairs = [*zip(requests, checked, strict=True), *zip(allowed, answers, strict=True)]
        return {
            request.id: answer.message
            for request, answer in pairs
            if isinstance(answer, YtcaptionError)
        }


def _existing(connection: Connection[DictRow], ids: Sequence[str]) -> dict[str, DictRow]:
    """Return the versions that exist, with their owners, by id."""
    rows = connection.execute(
        f"""
        select t.id, {IS_CHANGED} as is_changed, {_OWNERS} as owners
        from ytcaption.transcription t join ytcaption.media m on m.id = t.media_id
        where t.id = any(%s)
        """,  # noqa: S608
        (list(ids),),
    ).fetchall()
    return {row["id"]: row for row in rows}


def _remove_audio(connection: Connection[DictRow], media_id: str) -> None:
    """Remove audio that is older than the change at the source: the next run downloads it again."""
    connection.execute(
        sql.SQL("update ytcaption.media set {} where id = {} and kind <> 'upload'").format(
            sql.SQL(NO_AUDIO), sql.Literal(media_id)
        )
    )
