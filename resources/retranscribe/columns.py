"""Columns that a retranscription can be filtered by, over transcriptions and their media."""

from typing import Literal, LiteralString, NamedTuple

Kind = Literal["text", "number", "time", "flag", "channel"]


class FilterColumn(NamedTuple):
    """A column that an expression may name.

    Attributes:
        source: SQL expression over `t` (transcription), `m` (media) and `a` (caption_accuracy).
    """

    kind: Kind
    source: LiteralString
    description: str


IS_CHANGED: LiteralString = """(
    coalesce(m.changed_at > t.completed_at, false) or exists (
        select from ytcaption.channel_item i
        where i.media_id = t.media_id and i.changed_at > t.completed_at))"""
"""SQL: whether the source has other audio than the transcript was made of."""

IN_CHANNEL: LiteralString = """exists (
    select from ytcaption.channel_item i join ytcaption.channel c on c.id = i.channel_id
    where i.media_id = t.media_id and c.id = any({values})
        and (%(owner)s::text is null or c.owner = %(owner)s))"""
"""SQL: whether one of the given channels, if the owner may see it, lists the media."""

AUDIO_S: LiteralString = """coalesce(
    t.duration_s, m.audio_duration_s, m.last_duration_s, (m.info ->> 'duration_s')::float8)"""
"""SQL: seconds of audio, by the best known value."""

COLUMNS: dict[str, FilterColumn] = {
    "model": FilterColumn(
        "text",
        "case when t.provenance is null then t.options ->> 'model' "
        "else nullif(t.provenance ->> 'model', '') end",
        "that made the text; null where it is made of captions",
    ),
    "model_revision": FilterColumn(
        "text", "nullif(t.provenance ->> 'model_revision', '')", "SHA-256 of its weights"
    ),
    "engine": FilterColumn("text", "t.provenance ->> 'engine'", "such as `faster-whisper`"),
    "engine_version": FilterColumn("text", "t.provenance ->> 'engine_version'", "of the engine"),
    "language": FilterColumn(
        "text", "coalesce(t.language, t.options ->> 'language')", "that is spoken"
    ),
    "task": FilterColumn("text", "t.options ->> 'task'", "`transcribe` or `translate`"),
    "captions": FilterColumn(
        "text", "coalesce(t.options ->> 'captions', 'prefer')", "the policy that was asked for"
    ),
    "status": FilterColumn("text", "t.status", "left out: `completed` ones only"),
    "source": FilterColumn(
        "text",
        "t.provenance ->> 'source'",
        "`asr`, `manual_captions` or `automatic_captions`",
    ),
    "created_at": FilterColumn("time", "t.created_at", "first asked for"),
    "completed_at": FilterColumn("time", "t.completed_at", "made"),
    "duration_s": FilterColumn("number", AUDIO_S, "seconds of audio"),
    "speech_s": FilterColumn("number", "t.speech_s", "of it that hold speech"),
    "media_id": FilterColumn("text", "t.media_id", "such as `youtube-dQw4w9WgXcQ`"),
    "channel": FilterColumn(
        "channel", IN_CHANNEL, "id of a channel that lists the media; `=`, `<>` and `in` only"
    ),
    "channel_name": FilterColumn("text", "m.info ->> 'channel'", "who published it"),
    "title": FilterColumn(
        "text", "coalesce(m.info ->> 'title', m.title)", "as the source calls it"
    ),
    "language_probability": FilterColumn(
        "number", "t.language_probability", "how sure the language is, 0 to 1"
    ),
    "avg_logprob": FilterColumn(
        "number",
        "(select avg(s.avg_logprob) from ytcaption.segment s where s.transcription_id = t.id)",
        "mean of the segments; below -1 is doubtful",
    ),
    "word_count": FilterColumn("number", "t.word_count", "words"),
    "dropped_count": FilterColumn(
        "number", "t.dropped_count", "segments that were decoded and not believed"
    ),
    "wer": FilterColumn(
        "number",
        "((a.substitutions + a.deletions + a.insertions)::float8 "
        "/ greatest(a.hits + a.substitutions + a.deletions, 1))",
        "beside captions that people made; null where there are none",
    ),
    "changed": FilterColumn("flag", IS_CHANGED, "the source has other audio since"),
}
