"""The transcript: what was said, when, how sure we are, and how we know.

Times are float seconds from the start of the media. Texts are stripped.
"""

import json
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Self

SCHEMA_VERSION = 1

DropReason = Literal["no_speech", "loop", "low_confidence"]


@dataclass(frozen=True)
class Word:
    """One word with its punctuation; for languages without spaces, one token.

    Attributes:
        text: with its leading space where the language writes one, as faster-whisper gives it, so
            that `"".join(word.text ...)` is the segment's text.
        probability: 0 to 1.
    """

    start_s: float
    end_s: float
    text: str
    probability: float


@dataclass(frozen=True)
class Segment:
    """A stretch of speech, as the decoder cut it.

    Attributes:
        index: from 0, in time order.
        words: in time order, not overlapping; never empty for ASR.
        avg_logprob: mean log-probability of a token; below -1 is doubtful.
        no_speech_prob: 0 to 1.
        compression_ratio: of the text by zlib; above 2.4 is a loop.
        temperature: the one at which it was decoded.
    """

    index: int
    start_s: float
    end_s: float
    text: str
    words: tuple[Word, ...]
    avg_logprob: float
    no_speech_prob: float
    compression_ratio: float
    temperature: float


@dataclass(frozen=True)
class DroppedSegment:
    """Text that was decoded and not believed."""

    start_s: float
    end_s: float
    text: str
    reason: DropReason


@dataclass(frozen=True)
class Recognition:
    """What a transcriber hears in one waveform.

    Attributes:
        language: Whisper's code of the text's source language; None where nothing was said.
        language_probability: 0 to 1; 1 when the language was given.
        duration_s: of the audio.
        speech_s: seconds that the voice activity detector calls speech.
        timings_s: wall seconds by stage (`vad`, `model`, `load`).
        resumed_s: seconds of audio from its start that an earlier attempt heard.
    """

    language: str | None
    language_probability: float
    duration_s: float
    speech_s: float
    segments: tuple[Segment, ...]
    dropped: tuple[DroppedSegment, ...]
    timings_s: dict[str, float] = field(default_factory=dict)
    resumed_s: float = 0.0


@dataclass(frozen=True)
class Provenance:
    """How the text came about.

    Attributes:
        source: `asr`, `manual_captions` or `automatic_captions`.
        engine: such as `faster-whisper`, with its version; of captions `yt-dlp`, and model,
            revision, device, compute type and audio are empty.
        model_revision: hex SHA-256 of `model.bin`.
        compute_type: CTranslate2's, such as `int8`.
        options: TranscriptionOptions.to_dict().
        audio_sha256: hex.
        created_at: ISO 8601, UTC.
        captions: CaptionChoice.to_dict(); None: nobody looked for any.
    """

    source: Literal["asr", "manual_captions", "automatic_captions"]
    engine: str
    engine_version: str
    model: str
    model_revision: str
    device: str
    compute_type: str
    options: dict[str, Any]
    audio_sha256: str
    run_id: str
    created_at: str
    captions: dict[str, Any] | None = None


@dataclass(frozen=True)
class Transcript:
    """One transcription's whole result: the document under `transcripts/<id>.json`.

    Attributes:
        id: the partition key.
        language: of the speech; None where there is none.
        task: `translate` when the text is English made from another language.
    """

    id: str
    media_id: str
    task: str
    language: str | None
    language_probability: float
    duration_s: float
    speech_s: float
    segments: tuple[Segment, ...]
    dropped: tuple[DroppedSegment, ...]
    provenance: Provenance
    schema_version: int = SCHEMA_VERSION

    @property
    def text(self) -> str:
        """All of it, a segment a line."""
        return "\n".join(segment.text for segment in self.segments)

    @property
    def text_language(self) -> str | None:
        """The language the text is written in."""
        return "en" if self.task == "translate" and self.language else self.language

    @property
    def words(self) -> tuple[Word, ...]:
        """All words in time order."""
        return tuple(word for segment in self.segments for word in segment.words)

    def to_dict(self) -> dict[str, Any]:
        """JSON values, tuples as lists."""
        return asdict(self)

    def to_json(self) -> bytes:
        """UTF-8, the same bytes for the same transcript."""
        return json.dumps(self.to_dict(), ensure_ascii=False, separators=(",", ":")).encode()

    @classmethod
    def from_json(cls, data: bytes) -> Self:
        """The inverse of `to_json`.

        Raises:
            ValueError: not a transcript of a schema version that is known.
        """
        raw = json.loads(data)
        if not isinstance(raw, dict) or raw.get("schema_version") != SCHEMA_VERSION:
            raise ValueError("not a transcript document of schema version 1")
        segments = tuple(
            Segment(**(item | {"words": tuple(Word(**word) for word in item["words"])}))
            for item in raw["segments"]
        )
        dropped = tuple(DroppedSegment(**item) for item in raw["dropped"])
        provenance = Provenance(**raw["provenance"])
        return cls(**(raw | {"segments": segments, "dropped": dropped, "provenance": provenance}))
