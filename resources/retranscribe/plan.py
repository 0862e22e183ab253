"""Plans and results of retranscriptions: which transcriptions are made again, and with what."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from resources.retranscribe.filter import VersionFilter, version_filter
from ytcaption.domain.caller import Limits
from ytcaption.domain.errors import InvalidOption
from ytcaption.domain.request import checked_options


@dataclass(frozen=True)
class RetranscriptionPlan:
    """Which transcriptions are made again, and with what; an option that is None does not change.

    Attributes:
        limit: maximum number of new versions; None: no limit.
        owner: only transcriptions this owner may see (`Caller.sees_only`); None: all.
        limits: quotas of that owner.
    """

    filter: VersionFilter
    model: str | None = None
    language: str | None = None
    captions: str | None = None
    limit: int | None = None
    owner: str | None = None
    limits: Limits | None = None


@dataclass(frozen=True)
class RetranscriptionGroup:
    """Versions with the same change of model and the same language.

    Attributes:
        made_by: model of the existing version; None: captions.
        model: of the new version.
    """

    made_by: str | None
    model: str
    language: str | None


@dataclass
class RetranscriptionResult:
    """The result of a retranscription, or of its dry run.

    Attributes:
        examined: number of transcriptions that match the filter.
        number: of new versions.
        ids: the first `LISTED` new versions.
        audio_s: seconds of audio of all new versions.
        joined: number of existing versions that are now shared with further owners.
        excluded: number of transcriptions left out, by reason.
        after: id to continue after; None: all were examined.
    """

    examined: int = 0
    number: int = 0
    ids: list[str] = field(default_factory=list)
    audio_s: float = 0.0
    groups: Counter[RetranscriptionGroup] = field(default_factory=Counter)
    audio_s_by_group: Counter[RetranscriptionGroup] = field(default_factory=Counter)
    joined: int = 0
    excluded: Counter[str] = field(default_factory=Counter)
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
) -> RetranscriptionPlan:
    """Return the plan for what a user has typed.

    Args:
        where: an expression for `version_filter`.
        changed: only media that have changed at their source.

    Raises:
        InvalidOption, UnknownModel, UnknownLanguage: it is invalid; the message says what is valid.
    """
    if not (where and where.strip()) and not changed:
        raise InvalidOption(
            "Say which transcriptions: where such as model = 'base', or those that have changed."
        )
    filter = version_filter(where if where and where.strip() else "changed")
    if changed:
        filter = filter.and_changed()
    if not (model or language or captions or "changed" in filter.columns):
        raise InvalidOption("Say what is to be different: the model, the language or the captions.")
    # Options that are wrong for all transcriptions are refused at once; options that do not fit
    # those of one transcription exclude that one.
    checked_options(
        model=model or allowed_models[0],
        allowed_models=allowed_models,
        language=None if (model or "").endswith(".en") else language,
        captions=captions or "prefer",
    )
    return RetranscriptionPlan(filter, model, language, captions, limit, owner, limits)


SAME_OPTIONS = "would be made with the same options"
EXISTS = "are there already"
UPLOAD_MISSING = "are uploads whose file is no longer stored"
SHARED = "have changed and are others', too: only a key with the scope admin replaces them"
