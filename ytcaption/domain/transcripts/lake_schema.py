"""The lake's tables and their columns.

`transcripts`, `segments`, `words` and `caption_accuracy` hold a transcription each under
`transcription_id`; `media` holds one row per source, shared by its transcriptions.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

_TEXT, _REAL, _INTEGER, _DATE = "VARCHAR", "DOUBLE", "INTEGER", "DATE"
_TIMESTAMP = "TIMESTAMP WITH TIME ZONE"
_CHAPTERS = "STRUCT(start_s DOUBLE, end_s DOUBLE, title VARCHAR)[]"


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        type: DuckDB's name of the type.
        unit: of a number, such as `s`.
    """

    name: str
    type: str
    description: str
    unit: str | None = None

    @property
    def comment(self) -> str:
        """Return the description with the unit, as the catalog keeps it."""
        return f"{self.description} [{self.unit}]" if self.unit else self.description


_ID = Column("transcription_id", _TEXT, "Public id of the transcription: its media and options.")
_MEDIA_ID = Column("media_id", _TEXT, "The media it was made from.")
_TEXT_LANGUAGE = Column("language", _TEXT, "Whisper's code of the language the text is written in.")
_MADE_AT = Column("made_at", _TIMESTAMP, "When its transcript was made.", "UTC")

TABLES: dict[str, tuple[Column, ...]] = {
    "transcripts": (
        _ID,
        _MEDIA_ID,
        Column("task", _TEXT, "`transcribe`, or `translate` into English."),
        Column("language", _TEXT, "Whisper's code of the language spoken; null without speech."),
        Column("language_probability", _REAL, "Certainty of that; 1 where it was given.", "0 to 1"),
        Column("text_language", _TEXT, "Language of the text: `en` after a translation."),
        Column("duration_s", _REAL, "Length of the audio.", "s"),
        Column("speech_s", _REAL, "Seconds of it that hold speech.", "s"),
        Column("segment_count", _INTEGER, "Rows in `segments`."),
        Column("word_count", _INTEGER, "Rows in `words`."),
        Column("dropped_count", _INTEGER, "Segments that were decoded but rejected."),
        Column("text", _TEXT, "The whole text, one segment per line."),
        Column("source", _TEXT, "`asr`, `manual_captions` or `automatic_captions`."),
        Column("engine", _TEXT, "What transcribed it, such as `faster-whisper`."),
        Column("engine_version", _TEXT, "The engine's version."),
        Column(
            "model",
            _TEXT,
            "The model's name; empty for captions, as are all columns of a model.",
        ),
        Column("model_revision", _TEXT, "SHA-256 of its weights.", "hex"),
        Column("device", _TEXT, "`cpu` or `cuda`."),
        Column("compute_type", _TEXT, "Number format of the weights, such as `int8`."),
        Column("options", _TEXT, "The requested options, as JSON."),
        Column("audio_sha256", _TEXT, "SHA-256 of the audio file.", "hex"),
        Column("run_id", _TEXT, "Dagster's run that made it."),
        Column("created_at", _TIMESTAMP, "When it was made.", "UTC"),
        Column("queued_at", _TIMESTAMP, "When it was requested, or requested again.", "UTC"),
        Column("started_at", _TIMESTAMP, "When the first attempt at it began.", "UTC"),
        Column(
            "processing_s",
            _REAL,
            "Time for decoding and transcribing the audio; null for captions, and where several "
            "attempts shared it.",
            "s",
        ),
    ),
    "segments": (
        _ID,
        _MEDIA_ID,
        Column("segment_index", _INTEGER, "Position in the transcript.", "from 0"),
        Column("start_s", _REAL, "Start, from the start of the media.", "s"),
        Column("end_s", _REAL, "End, from the start of the media.", "s"),
        Column("text", _TEXT, "What was said."),
        _TEXT_LANGUAGE,
        Column("word_count", _INTEGER, "Number of its rows in `words`."),
        Column(
            "avg_logprob", _REAL, "Mean log-probability of a token; below -1 is doubtful.", "ln"
        ),
        Column("no_speech_prob", _REAL, "Probability that there is no speech.", "0 to 1"),
        Column(
            "compression_ratio", _REAL, "Of the text by zlib; above 2.4 it repeats itself.", "1"
        ),
        Column("temperature", _REAL, "Temperature at which it was decoded.", "1"),
        _MADE_AT,
    ),
    "words": (
        _ID,
        _MEDIA_ID,
        Column("segment_index", _INTEGER, "Its segment.", "from 0"),
        Column("word_index", _INTEGER, "Position in the transcript.", "from 0"),
        Column("start_s", _REAL, "Start, from the start of the media.", "s"),
        Column("end_s", _REAL, "End, from the start of the media.", "s"),
        Column(
            "text",
            _TEXT,
            "As written, with its punctuation and the space before it: joined, they make the "
            "segment's text.",
        ),
        Column("word", _TEXT, "For counting: case folded, no punctuation around; null if all is."),
        _TEXT_LANGUAGE,
        Column("probability", _REAL, "The model's certainty.", "0 to 1"),
        _MADE_AT,
    ),
    "caption_accuracy": (
        _ID,
        _MEDIA_ID,
        Column("model", _TEXT, "The model that transcribed it."),
        Column("language", _TEXT, "Whisper's code of the language spoken."),
        Column(
            "reference_kind",
            _TEXT,
            "Captions that people made: `track`, fetched beside the audio, or `transcription`, "
            "another one of the media that is made of them.",
        ),
        Column(
            "words",
            _INTEGER,
            "Words of the captions; characters in Chinese, Japanese, Korean, Thai, Lao, Khmer, "
            "Burmese and Tibetan.",
        ),
        Column("wer", _REAL, "(substitutions + deletions + insertions) / words.", "1"),
        Column("substitutions", _INTEGER, "Words that were transcribed as other words."),
        Column("deletions", _INTEGER, "Words that are missing in the transcript."),
        Column("insertions", _INTEGER, "Words of the transcript that are not in the captions."),
        Column("measured_at", _TIMESTAMP, "When it was measured.", "UTC"),
    ),
    "media": (
        Column(
            "media_id", _TEXT, "`youtube-<id>`, `<site>-<id>`, `url-<hash>` or `upload-<hash>`."
        ),
        Column("kind", _TEXT, "`site`, `direct` (a media file's URL) or `upload`."),
        Column("url", _TEXT, "Its URL; of a media file without the query, which may be a key."),
        Column("extractor", _TEXT, "yt-dlp's name of the site."),
        Column(
            "title",
            _TEXT,
            "As the source calls it; in queries and exports of an upload the name you gave it.",
        ),
        Column("channel", _TEXT, "Who published it."),
        Column("channel_id", _TEXT, "The site's id of that channel."),
        Column("upload_date", _DATE, "Day of publication."),
        Column("duration_s", _REAL, "As the source states it, which may be wrong.", "s"),
        Column("language", _TEXT, "As the source states it."),
        Column("webpage_url", _TEXT, "Page that shows it."),
        Column("thumbnail_url", _TEXT, "Picture of it."),
        Column("chapters", _CHAPTERS, "Its parts.", "s"),
    ),
}
"""Table name to columns. New columns come last: an older lake gets them when it is opened."""

PARTITIONED = {"transcripts": "created_at", "segments": "made_at", "words": "made_at"}
"""Table name to the column by whose month its files are partitioned."""

SORTED = {
    "transcripts": ("created_at", "transcription_id"),
    "segments": ("made_at", "transcription_id", "segment_index"),
    "words": ("made_at", "transcription_id", "word_index"),
}
"""Table name to the order of rows in a file: the order of speech, which `top_terms` needs."""

OF_A_TRANSCRIPTION = tuple(name for name, columns in TABLES.items() if columns[0] is _ID)
"""Tables whose rows belong to one transcription."""


def arrow_schema(table: str) -> "pa.Schema":
    """Return the table's Arrow schema: field metadata has `description` and, for a number,
    `unit`."""
    import pyarrow as pa

    types = {
        _TEXT: pa.string(),
        _REAL: pa.float64(),
        _INTEGER: pa.int32(),
        _DATE: pa.date32(),
        _TIMESTAMP: pa.timestamp("us", tz="UTC"),
        _CHAPTERS: pa.list_(
            pa.struct({"start_s": pa.float64(), "end_s": pa.float64(), "title": pa.string()})
        ),
    }
    return pa.schema(
        pa.field(
            column.name,
            types[column.type],
            metadata={"description": column.description}
            | ({"unit": column.unit} if column.unit else {}),
        )
        for column in TABLES[table]
    )
