"""Selection of the transcriptions to export, with the facts that exports need."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import LiteralString

from resources.postgres.connection import Postgres
from resources.postgres.predicates import is_erased
from resources.transcriptions.seen_media import title_for

_DAY: LiteralString = r"""
    case when m.info ->> 'upload_date' ~ '^\d{4}-\d{2}-\d{2}$' then m.info ->> 'upload_date'
        else to_char(t.completed_at at time zone 'UTC', 'YYYY-MM-DD') end"""
_SELECTED: LiteralString = f"""
    with known as (
        select t.id, t.media_id, t.document_key, t.document_sha256, t.duration_s, t.completed_at,
            coalesce(t.language, m.info ->> 'language') as language,
            {title_for("m", "null")} as title, m.info ->> 'channel' as channel,
            m.info ->> 'channel_id' as channel_id, {_DAY} as published_on,
            m.audio_key, m.audio_sha256,
            row_number() over (
                partition by t.media_id
                order by t.options ->> 'task' = 'transcribe' desc, t.completed_at desc, t.id
            ) as version
        from ytcaption.transcription t join ytcaption.media m on m.id = t.media_id
        where t.status = 'completed' and not {is_erased("t.id")}
    )
    select id, media_id, document_key, document_sha256, duration_s, language, title, channel,
        published_on, to_char(completed_at at time zone 'UTC', 'YYYY-MM') as month,
        audio_key, audio_sha256
    from known
    where (version = 1 or %(versions)s or %(ids)s::text[] is not null)
        and (%(ids)s::text[] is null or id = any(%(ids)s))
        and (%(channel)s::text is null or channel_id = %(channel)s
            or lower(channel) = lower(%(channel)s))
        and (%(language)s::text is null or language = %(language)s)
        and (%(since)s::text is null or published_on >= %(since)s)
        and (%(until)s::text is null or published_on <= %(until)s)
    order by published_on, id
"""  # noqa: S608


@dataclass(frozen=True)
class ExportFilter:
    """Conditions; None: any.

    Attributes:
        channel: id or name.
        since, until: inclusive dates of publication, `2026-11-24`; of creation if that is unknown.
        ids: these transcriptions, whichever version of their media.
        versions: all transcriptions of a media item, not only the newest.
    """

    channel: str | None = None
    language: str | None = None
    since: str | None = None
    until: str | None = None
    ids: Sequence[str] | None = None
    versions: bool = False


@dataclass(frozen=True)
class SelectedTranscription:
    """One transcription. Titles and channels are untrusted text.

    Attributes:
        published_on: `2026-11-24`.
        month: of creation, `2026-11`.
        audio_key: None: the audio is not stored.
    """

    id: str
    media_id: str
    document_key: str
    document_sha256: str
    duration_s: float | None
    language: str | None
    title: str | None
    channel: str | None
    published_on: str
    month: str
    audio_key: str | None
    audio_sha256: str | None

    @property
    def version(self) -> str:
        """Return the version of its text."""
        return self.document_sha256


def select_transcriptions(postgres: Postgres, filter: ExportFilter) -> list[SelectedTranscription]:
    """Return the selected transcriptions, by date of publication.

    Of each media item the newest is selected, an original before a translation.

    Raises:
        as `Postgres.transaction`.
    """
    values = vars(filter) | {"ids": None if filter.ids is None else list(filter.ids)}
    return [SelectedTranscription(**row) for row in postgres.rows(_SELECTED, values)]
