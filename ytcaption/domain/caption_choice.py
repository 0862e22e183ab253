"""Decide which captions of the source are used, if any, and why.

choose_captions(CaptionsWanted("prefer", language="de"), "en", CaptionOffers(manual=("de",)))
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

CaptionsPolicy = Literal["prefer", "prefer_any", "never", "only"]
"""`prefer`: captions that people made, else the audio is transcribed; `prefer_any`: automatic ones,
too; `never`: the audio is transcribed; `only`: captions of either kind, or a failure."""

TrackKind = Literal["manual", "automatic", "translated"]
"""`translated`: into another language than the spoken one, by people. Machine translations are
recognised and never used."""

_SAME_LANGUAGE = {"iw": "he", "in": "id", "ji": "yi", "jv": "jw", "nb": "no", "fil": "tl"}
"""Codes that sites use, with Whisper's."""


@dataclass(frozen=True)
class CaptionsWanted:
    """What a request says about captions.

    Attributes:
        language: Whisper's code; None: the spoken language.
        task: a translation is made from the audio.
    """

    policy: CaptionsPolicy
    language: str | None = None
    task: str = "transcribe"


@dataclass(frozen=True)
class CaptionOffers:
    """The tracks of a media item, each by its source's code, such as `en-US`.

    Attributes:
        manual: made by people.
        automatic: made by the source's own speech recognition.
        translated: translated by a machine from another track.
    """

    manual: tuple[str, ...] = ()
    automatic: tuple[str, ...] = ()
    translated: tuple[str, ...] = ()

    @classmethod
    def from_dict(cls, values: Mapping[str, Iterable[str]]) -> Self:
        """Parse the output of `dataclasses.asdict`, also after JSON."""
        return cls(**{name: tuple(codes) for name, codes in values.items()})


@dataclass(frozen=True)
class CaptionChoice:
    """The decision about captions.

    Attributes:
        kind: None: there are none to use, so the audio is transcribed.
        track: the source's code of the track.
        language: of the text, Whisper's code.
        spoken_language: Whisper's code, as far as the source states it.
        reason: for a person.
    """

    reason: str
    kind: TrackKind | None = None
    track: str | None = None
    language: str | None = None
    spoken_language: str | None = None

    @property
    def list_name(self) -> Literal["manual", "automatic"]:
        """The list of `CaptionOffers` that the track is in."""
        return "automatic" if self.kind == "automatic" else "manual"

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values."""
        return asdict(self)


def primary_language(code: str | None) -> str | None:
    """Return Whisper's code: `en` for `en-US` or `en-orig`; None for `und`, which is
    undetermined."""
    primary = (code or "").replace("_", "-").partition("-")[0].lower()
    return _SAME_LANGUAGE.get(primary, primary) if primary not in ("", "und") else None


def choose_captions(
    wanted: CaptionsWanted, spoken: str | None, offers: CaptionOffers | None
) -> CaptionChoice:
    """Choose the captions to use.

    Args:
        spoken: the language of the media, as its source states it.
        offers: None: the tracks are unknown.
    """
    spoken = primary_language(spoken) or _only(offers.automatic if offers else ())

    def transcribe(reason: str) -> CaptionChoice:
        return CaptionChoice(reason, spoken_language=spoken)

    if wanted.policy == "never":
        return transcribe("Captions are not wanted.")
    if wanted.task == "translate":
        return transcribe("A translation is made from the audio.")
    if offers is None:
        return transcribe("Captions were not searched for after the audio was stored.")
    language = wanted.language or spoken
    if language is None and wanted.policy == "only":
        language = _only(offers.manual)
    if language is None:
        return transcribe("The source does not state the spoken language.")
    by = "wanted" if wanted.language else "spoken"
    if track := _match(offers.manual, language):
        is_translation = spoken is not None and spoken != language
        kind = "translated" if is_translation else "manual"
        made = "translated by people" if is_translation else "made by people"
        reason = f"There are captions in the {by} language, {made}."
        return CaptionChoice(reason, kind, track, language, spoken)
    automatic = _match(offers.automatic, language)
    if automatic and wanted.policy in ("prefer_any", "only"):
        reason = f"There are automatic captions in the {by} language, and none made by people."
        return CaptionChoice(reason, "automatic", automatic, language, spoken)
    if automatic:
        return transcribe(f"The captions in the {by} language are automatic.")
    if _match(offers.translated, language):
        return transcribe(f"The captions in the {by} language are machine translations.")
    return transcribe(f"The source has no captions in the {by} language.")


def _match(tracks: Iterable[str], code: str) -> str | None:
    """Return the track with the code itself, else the shortest one of its language."""
    matches = [track for track in tracks if primary_language(track) == primary_language(code)]
    return min(matches, key=lambda track: (track.lower() != code.lower(), len(track)), default=None)


def _only(tracks: Iterable[str]) -> str | None:
    """Return the one language of all tracks, if there is only one."""
    languages = {primary_language(track) for track in tracks}
    return languages.pop() if len(languages) == 1 else None
