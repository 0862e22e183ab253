"""Columns that a retranscription can be filtered by, over transcriptions and their media."""

from typing import Literal, LiteralString, NamedTuple

from resources.transcriptions.seen_media import title_for

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
        "model of the transcript; null if it is made of captions",
    ),
    "model_revision": FilterColumn(
        "text", "nullif(t.provenance ->> 'model_revision', '')", "SHA-256 of the model's weights"
    ),
    "engine": FilterColumn(
        "text", "t.provenance ->> 'engine'", "transcription engine, such as `faster-whisper`"
    ),
    "engine_version": FilterColumn(
        "text", "t.provenance ->> 'engine_version'", "version of the engine"
    ),
    "language": FilterColumn(
        "text", "coalesce(t.language, t.options ->> 'language')", "spoken language"
    ),
    "task": FilterColumn("text", "t.options ->> 'task'", "`transcribe` or `translate`"),
    "captions": FilterColumn(
        "text", "coalesce(t.options ->> 'captions', 'prefer')", "requested policy on captions"
    ),
    "status": FilterColumn(
        "text", "t.status", "status; without this column only `completed` ones match"
    ),
    "source": FilterColumn(
        "text",
        "t.provenance ->> 'source'",
        "origin: `asr`, `manual_captions` or `automatic_captions`",
    ),
    "created_at": FilterColumn("time", "t.created_at", "time of the first request"),
    "completed_at": FilterColumn("time", "t.completed_at", "time of completion"),
    "duration_s": FilterColumn("number", AUDIO_S, "seconds of audio"),
    "speech_s": FilterColumn("number", "t.speech_s", "seconds of speech"),
    "media_id": FilterColumn(
        "text", "t.media_id", "id of the media, such as `youtube-dQw4w9WgXcQ`"
    ),
    "channel": FilterColumn(
        "channel", IN_CHANNEL, "id of a channel that lists the media; `=`, `<>` and `in` only"
    ),
    "channel_name": FilterColumn("text", "m.info ->> 'channel'", "name of the publisher"),
    "title": FilterColumn(
        "text", title_for("m", "%(owner)s"), "title at the source, or the one you gave"
    ),
    "language_probability": FilterColumn(
        "number", "t.language_probability", "probability of the language, 0 to 1"
    ),
    "avg_logprob": FilterColumn(
        "number",
        "(select avg(s.avg_logprob) from ytcaption.segment s where s.transcription_id = t.id)",
        "mean over the segments; doubtful below -1",
    ),
    "word_count": FilterColumn("number", "t.word_count", "number of words"),
    "dropped_count": FilterColumn(
        "number", "t.dropped_count", "number of segments dropped as hallucinations"
    ),
    "wer": FilterColumn(
        "number",
        "((a.substitutions + a.deletions + a.insertions)::float8 "
        "/ greatest(a.hits + a.substitutions + a.deletions, 1))",
        "word error rate by captions that people made; null without any",
    ),
    "changed": FilterColumn(
        "flag", IS_CHANGED, "whether the audio at the source has changed since"
    ),
}
