"""Which captions of the source are taken, if any, and why.

choose_captions(CaptionsWanted("prefer", language="de"), "en", CaptionOffers(manual=("de",)))
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

CaptionsPolicy = Literal["prefer", "prefer_any", "never", "only"]
"""`prefer`: captions that people have made, else the audio is heard; `prefer_any`: automatic ones,
too; `never`: the audio is heard; `only`: captions of either kind, or a failure."""

TrackKind = Literal["manual", "automatic", "translated"]
"""`translated`: of what is said in another language, by people; what machines have translated is
known as such and never taken."""

_SAME_LANGUAGE = {"iw": "he", "in": "id", "ji": "yi", "jv": "jw", "nb": "no", "fil": "tl"}
"""Codes that sites use -> Whisper's."""


@dataclass(frozen=True)
class CaptionsWanted:
    """What somebody asks for.

    Attributes:
        language: Whisper's code; None: the one that is spoken.
        task: a translation is made from the audio.
    """

    policy: CaptionsPolicy
    language: str | None = None
    task: str = "transcribe"


@dataclass(frozen=True)
class CaptionOffers:
    """The tracks of a media, each by the code that its source has for it, such as `en-US`.

    Attributes:
        manual: made by people.
        automatic: what the source's own machine has heard.
        translated: what a machine has made of another track.
    """

    manual: tuple[str, ...] = ()
    automatic: tuple[str, ...] = ()
    translated: tuple[str, ...] = ()

    @classmethod
    def from_dict(cls, values: Mapping[str, Iterable[str]]) -> Self:
        """The inverse of `dataclasses.asdict`, from JSON too."""
        return cls(**{name: tuple(codes) for name, codes in values.items()})


@dataclass(frozen=True)
class CaptionChoice:
    """What came of looking for captions.

    Attributes:
        kind: None: there are none to take, so that the audio is heard.
        track: the code that the source has for it.
        language: of the text, Whisper's code.
        spoken_language: Whisper's code, as far as the source tells.
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
        """JSON values."""
        return asdict(self)


def primary_language(code: str | None) -> str | None:
    """Whisper's code: `en` of `en-US` or `en-orig`; None of `und`, which says nothing."""
    primary = (code or "").replace("_", "-").partition("-")[0].lower()
    return _SAME_LANGUAGE.get(primary, primary) if primary not in ("", "und") else None


def choose_captions(
    wanted: CaptionsWanted, spoken: str | None, offers: CaptionOffers | None
) -> CaptionChoice:
    """The captions to take.

    Args:
        spoken: the language of the media, as its source states it.
        offers: None: nobody knows what there is.
    """
    spoken = primary_language(spoken) or _only(offers.automatic if offers else ())

    def heard(reason: str) -> CaptionChoice:
        return CaptionChoice(reason, spoken_language=spoken)

    if wanted.policy == "never":
        return heard("Captions are not wanted.")
    if wanted.task == "translate":
        return heard("A translation is made from the audio.")
    if offers is None:
        return heard("Nobody has looked for captions since the audio was stored.")
    language = wanted.language or spoken
    if language is None and wanted.policy == "only":
        language = _only(offers.manual)
    if language is None:
        return heard("The source does not say which language is spoken.")
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
        return heard(f"The captions in the {by} language are automatic.")
    if _match(offers.translated, language):
        return heard(f"The captions in the {by} language are translated by a machine.")
    return heard(f"The source has no captions in the {by} language.")


def _match(tracks: Iterable[str], code: str) -> str | None:
    """The track of the code itself, else the shortest of its language."""
    found = [track for track in tracks if primary_language(track) == primary_language(code)]
    return min(found, key=lambda track: (track.lower() != code.lower(), len(track)), default=None)


def _only(tracks: Iterable[str]) -> str | None:
    """The language that all tracks are in."""
    languages = {primary_language(track) for track in tracks}
    return languages.pop() if len(languages) == 1 else None
