"""The transcript: what was said, when, how certain the model is, and how the text was made.

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
        temperature: at which it was decoded.
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
    """Text that was decoded but rejected."""

    start_s: float
    end_s: float
    text: str
    reason: DropReason


@dataclass(frozen=True)
class Recognition:
    """The result of transcribing one waveform.

    Attributes:
        language: Whisper's code of the spoken language; None where there is no speech.
        language_probability: 0 to 1; 1 when the language was given.
        duration_s: of the audio.
        speech_s: seconds that the voice activity detector calls speech.
        timings_s: wall seconds by stage (`vad`, `model`, `load`).
        resumed_s: seconds of audio from its start that an earlier attempt transcribed.
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
    """How the text was made.

    Attributes:
        source: `asr`, `manual_captions` or `automatic_captions`.
        engine: such as `faster-whisper`, with its version; for captions `yt-dlp`, and model,
            revision, device, compute type and audio are empty.
        model_revision: hex SHA-256 of `model.bin`.
        compute_type: CTranslate2's, such as `int8`.
        options: TranscriptionOptions.to_dict().
        audio_sha256: hex.
        created_at: ISO 8601, UTC.
        captions: CaptionChoice.to_dict(); None where captions were not searched for.
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
    """The whole result of one transcription: the document under `transcripts/<id>.json`.

    Attributes:
        id: the partition key.
        language: of the speech; None where there is none.
        task: `translate` when the text is an English translation.
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
        """The whole text, one segment per line."""
        return "\n".join(segment.text for segment in self.segments)

    @property
    def text_language(self) -> str | None:
        """The language of the text."""
        return "en" if self.task == "translate" and self.language else self.language

    @property
    def words(self) -> tuple[Word, ...]:
        """Return all words in time order."""
        return tuple(word for segment in self.segments for word in segment.words)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values, with tuples as lists."""
        return asdict(self)

    def to_json(self) -> bytes:
        """Return UTF-8 bytes, the same for equal transcripts."""
        return json.dumps(self.to_dict(), ensure_ascii=False, separators=(",", ":")).encode()

    @classmethod
    def from_json(cls, data: bytes) -> Self:
        """Parse the output of `to_json`.

        Raises:
            ValueError: not a transcript of a known schema version.
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
