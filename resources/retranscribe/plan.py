"""Which transcriptions are to be made anew and how, and what came of it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from resources.retranscribe.filter import VersionFilter, version_filter
from ytcaption.domain.caller import Limits
from ytcaption.domain.errors import InvalidOption
from ytcaption.domain.request import checked_options


@dataclass(frozen=True)
class Wanted:
    """What is to be made anew, and how; options that are None stay what they were.

    Attributes:
        limit: most transcriptions that are made; None: all.
        owner: whose they are, as `Caller.sees_only` says; None: everybody's.
        limits: of that owner.
    """

    filter: VersionFilter
    model: str | None = None
    language: str | None = None
    captions: str | None = None
    limit: int | None = None
    owner: str | None = None
    limits: Limits | None = None


@dataclass(frozen=True)
class Kind:
    """One line of what is made: which becomes what.

    Attributes:
        made_by: the model of the version before; None: captions.
    """

    made_by: str | None
    model: str
    language: str | None


@dataclass
class Anew:
    """What came of it, or would.

    Attributes:
        looked_at: transcriptions that fit.
        ids: the first `LISTED` of the new ones.
        audio_s: of all new ones.
        joined: versions that are there already, and that others are now told of, too.
        left_out: how many, by the reason.
        after: id behind which to go on; None: all were looked at.
    """

    looked_at: int = 0
    number: int = 0
    ids: list[str] = field(default_factory=list)
    audio_s: float = 0.0
    kinds: Counter[Kind] = field(default_factory=Counter)
    audio_s_by_kind: Counter[Kind] = field(default_factory=Counter)
    joined: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    after: str | None = None


def parse_retranscription(
    allowed_models: Sequence[str],
    where: str | None,
    *,
    changed: bool = False,
    model: str | None = None,
    language: str | None = None,
    captions: str | None = None,
    limit: int | None = None,
    owner: str | None = None,
    limits: Limits | None = None,
) -> Wanted:
    """What somebody wants, from what they typed.

    Args:
        where: an expression, as `version_filter` reads it.
        changed: only what has changed at its source.

    Raises:
        InvalidOption, UnknownModel, UnknownLanguage: it cannot be done, with what can.
    """
    if not (where and where.strip()) and not changed:
        raise InvalidOption(
            "Say which transcriptions: where such as model = 'base', or those that have changed."
        )
    filter = version_filter(where if where and where.strip() else "changed")
    if changed:
        filter = filter.and_changed()
    if not (model or language or captions or "changed" in filter.columns):
        raise InvalidOption("Say what is to be other: the model, the language or the captions.")
    # What is wrong with all of them is told at once; what does not fit one's own options, of it.
    checked_options(
        model=model or allowed_models[0],
        allowed_models=allowed_models,
        language=None if (model or "").endswith(".en") else language,
        captions=captions or "prefer",
    )
    return Wanted(filter, model, language, captions, limit, owner, limits)


SAME = "would be made of the same options"
MADE = "are there already"
GONE = "are uploads whose file is gone"
SHARED = "have changed and are others', too: only a key with the scope admin replaces them"
