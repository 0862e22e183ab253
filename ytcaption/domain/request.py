"""A request: a media item, options, and the one id that both make."""

import base64
import hashlib
import json
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

from ytcaption.domain.caption_choice import CaptionsPolicy, CaptionsWanted
from ytcaption.domain.errors import InvalidOption, UnknownLanguage, UnknownModel
from ytcaption.domain.languages import WHISPER_LANGUAGES

Task = Literal["transcribe", "translate"]
Priority = Literal["interactive", "bulk"]

MAX_KEY_LENGTH = 120
HASH_LENGTH = 26  # 128 bits in base32
MAX_MEDIA_ID_LENGTH = MAX_KEY_LENGTH - HASH_LENGTH - 1
MAX_PROMPT_LENGTH = 1_000

_MEDIA_ID = re.compile(rf"[A-Za-z0-9][A-Za-z0-9_-]{{0,{MAX_MEDIA_ID_LENGTH - 1}}}")
_PARTITION_KEY = re.compile(
    rf"[A-Za-z0-9][A-Za-z0-9_-]{{0,{MAX_MEDIA_ID_LENGTH - 1}}}\.[a-z2-7]{{{HASH_LENGTH}}}"
)


class TranscriptionStatus(StrEnum):
    """The state of a transcription."""

    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELED = "canceled"

    @property
    def is_final(self) -> bool:
        """Whether nothing more happens until another request."""
        return self not in (TranscriptionStatus.QUEUED, TranscriptionStatus.RUNNING)


@dataclass(frozen=True)
class TranscriptionOptions:
    """The options that change the text. Equal options on one media item are one transcription.

    Attributes:
        model: a name on the settings' list, such as `base`.
        language: Whisper's code (`en`, `de`, ...); None is detected.
        task: `translate` gives English.
        initial_prompt: text that the decoder treats as preceding, at most 1,000 characters.
        hotwords: words to expect, at most 1,000 characters.
        temperature: above 0 to 1, where decoding starts; None starts at 0. Either rises where
            the text is doubtful.
        captions: None is `prefer`, which keeps ids equal to those from before this option.
    """

    model: str
    language: str | None = None
    task: Task = "transcribe"
    initial_prompt: str | None = None
    hotwords: str | None = None
    temperature: float | None = None
    captions: CaptionsPolicy | None = None

    @property
    def captions_wanted(self) -> CaptionsWanted:
        """What these options say about the source's captions."""
        return CaptionsWanted(self.captions or "prefer", self.language, self.task)

    def to_dict(self) -> dict[str, Any]:
        """Return set options only, text in NFC: what is stored, compared and hashed."""
        return {
            name: unicodedata.normalize("NFC", value) if isinstance(value, str) else value
            for name, value in vars(self).items()
            if value is not None
        }


def checked_options(
    *,
    model: str,
    allowed_models: Sequence[str],
    language: str | None = None,
    task: str = "transcribe",
    initial_prompt: str | None = None,
    hotwords: str | None = None,
    temperature: float | None = None,
    captions: str = "prefer",
) -> TranscriptionOptions:
    """Return options that can be carried out, from a person's input.

    A temperature of 0 is stored as none: the ladder of temperatures starts there anyway, so both
    are
    one transcription. The same holds for `prefer`.

    Raises:
        UnknownModel, UnknownLanguage, InvalidOption: with what would be accepted.
    """
    if model not in allowed_models:
        raise UnknownModel(
            f"Unknown model '{model[:60]}'. This installation offers: {', '.join(allowed_models)}."
        )
    language = language.strip().lower() if language and language.strip() else None
    if language == "auto":
        language = None
    if language is not None:
        language = WHISPER_LANGUAGES.get(language, language)
        if language not in WHISPER_LANGUAGES.values():
            raise UnknownLanguage(
                f"Unknown language '{language[:40]}'. Give a code such as en, de, fr or zh, or "
                "leave it out to have it detected."
            )
    task = checked_task(task)
    if model.endswith(".en"):
        if language not in (None, "en") or task == "translate":
            raise InvalidOption(
                f"The model {model} transcribes English only. Use a multilingual model such as "
                "base."
            )
        language = "en"
    for name, text in (("initial_prompt", initial_prompt), ("hotwords", hotwords)):
        if text is not None and len(text) > MAX_PROMPT_LENGTH:
            raise InvalidOption(f"{name} is longer than {MAX_PROMPT_LENGTH:,} characters.")
        if text is not None and "\x00" in text:
            raise InvalidOption(f"{name} contains a NUL character.")
    policy = checked_captions(captions)
    if policy == "only" and task == "translate":
        raise InvalidOption("Captions are not translated. Leave out captions=only, or the task.")
    if temperature is not None and not 0 <= temperature <= 1:  # NaN is refused, too
        raise InvalidOption("temperature is a number from 0 to 1.")
    return TranscriptionOptions(
        model=model,
        language=language,
        task=task,
        initial_prompt=initial_prompt or None,
        hotwords=hotwords or None,
        temperature=round(float(temperature), 3) or None if temperature else None,
        captions=None if policy == "prefer" else policy,
    )


def checked_task(task: str) -> Task:
    """Return the task.

    Raises:
        InvalidOption: another word.
    """
    if task not in ("transcribe", "translate"):
        raise InvalidOption(f"Unknown task '{task[:40]}'. Use transcribe or translate.")
    return task


def checked_captions(policy: str) -> CaptionsPolicy:
    """Return the captions policy.

    Raises:
        InvalidOption: another word.
    """
    if policy not in ("prefer", "prefer_any", "never", "only"):
        raise InvalidOption(
            f"Unknown captions '{policy[:40]}'. Use prefer, prefer_any, never or only."
        )
    return policy


def short_hash(data: bytes) -> str:
    """Return 26 characters of lower-case base32: 128 bits of the SHA-256 of `data`."""
    return base64.b32encode(hashlib.sha256(data).digest()[:16]).decode().rstrip("=").lower()


def media_id(prefix: str, native_id: str) -> str:
    """Return `<prefix>-<native id>`, or the id's hash where the id does not fit the alphabet."""
    candidate = f"{prefix}-{native_id}"
    if _MEDIA_ID.fullmatch(candidate):
        return candidate
    return f"{prefix}-{short_hash(native_id.encode())}"


def run_key(id: str, attempt: int) -> str:
    """Return the key of one attempt's run: Dagster starts no second run with it."""
    return f"{id}:{attempt}"


def partition_key(media: str, options: TranscriptionOptions) -> str:
    """Return `<media>.<26>`: the same media item and options always give the same key.

    This is the only place that makes keys. At most 120 characters of `[A-Za-z0-9_-]` and one dot,
    the
    first a letter or digit: safe as a path, a URL part and a Dagster partition key.
    """
    if not _MEDIA_ID.fullmatch(media):
        raise ValueError(f"not a media id: {media!r}")
    canonical = json.dumps(options.to_dict(), sort_keys=True, separators=(",", ":"))
    return f"{media}.{short_hash(canonical.encode())}"


def is_media_id(text: str) -> bool:
    """Return whether `media_id()` could have made it."""
    return _MEDIA_ID.fullmatch(text) is not None


def is_partition_key(text: str) -> bool:
    """Return whether `partition_key()` could have made it."""
    return _PARTITION_KEY.fullmatch(text) is not None
