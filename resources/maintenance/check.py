"""What a crash can leave: each kind is a check of its own, with what finds it and what mends it.

A check looks without changing anything. What it found is looked at again, under the lock of whoever
may be at work on it, before it is mended: so that mending is safe beside a running system, and may
be repeated.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import dagster as dg

from resources.channels.runs import ChannelRuns
from resources.download.workspace import Workspace
from resources.lake.catalog import TranscriptCatalog
from resources.maintenance.erasure import Erasure
from resources.object_store.store import ObjectStore
from resources.orchestration.orchestrator import Orchestrator
from resources.postgres.connection import Postgres
from ytcaption.domain.errors import YtcaptionError
from ytcaption.settings import Settings

GRACE_S = 3600.0
"""Files younger than this are left alone, whatever is known of them."""


@dataclass(frozen=True)
class Parts:
    """All that is looked at.

    Attributes:
        postgres: with the rights of runs and sensors.
        erasure: with the rights of the API, which erases.
    """

    settings: Settings
    instance: dg.DagsterInstance
    postgres: Postgres
    channel_runs: ChannelRuns
    objects: ObjectStore
    workspace: Workspace
    catalog: TranscriptCatalog
    erasure: Erasure

    @classmethod
    def of(cls, settings: Settings, instance: dg.DagsterInstance) -> "Parts":
        """Of one installation."""
        postgres = Postgres.from_settings(settings, "dagster")
        api = Postgres.from_settings(settings, "api")
        return cls(
            settings=settings,
            instance=instance,
            postgres=postgres,
            channel_runs=ChannelRuns(postgres=postgres),
            objects=ObjectStore.from_settings(settings),
            workspace=Workspace.from_settings(settings),
            catalog=TranscriptCatalog.from_settings(settings),
            erasure=Erasure(settings, api, Orchestrator(instance)),
        )


@dataclass
class Mended:
    """What became of what was found.

    Attributes:
        done: what was mended; what was right by then is in neither.
        left: what was not, with the reason.
    """

    done: list[str] = field(default_factory=list)
    left: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Check:
    """One kind of damage.

    Attributes:
        code: for programs.
        what: what is wrong with what it finds, for people.
        remedy: what mending does.
        find: what is wrong, by name.
        mend: puts it right.
    """

    code: str
    what: str
    remedy: str
    find: Callable[[Parts], Sequence[str]]
    mend: Callable[[Parts, Sequence[str]], Mended]


@dataclass(frozen=True)
class Finding:
    """What one check has found.

    Attributes:
        found: names, in order.
        mended: None where nothing was to be mended.
        problem: why the check could not be made; None where it was.
    """

    check: Check
    found: tuple[str, ...] = ()
    mended: Mended | None = None
    problem: str | None = None

    @property
    def is_wrong(self) -> bool:
        """Whether something is wrong still, or may be."""
        if self.problem is not None:
            return True
        return bool(self.found if self.mended is None else self.mended.left)


def one_by_one(
    mend: Callable[[Parts, str], bool],
) -> Callable[[Parts, Sequence[str]], Mended]:
    """Mends each for itself: what cannot be mended takes nothing from the others.

    Args:
        mend: puts one right; False where it was right by then. Raises YtcaptionError.
    """

    def mend_all(parts: Parts, names: Sequence[str]) -> Mended:
        mended = Mended()
        for name in names:
            try:
                if mend(parts, name):
                    mended.done.append(name)
            except YtcaptionError as error:
                mended.left[name] = error.message
        return mended

    return mend_all


def examine(parts: Parts, check: Check, *, repair: bool) -> Finding:
    """What the check finds, and what became of it."""
    try:
        found = tuple(check.find(parts))
        mended = check.mend(parts, found) if repair and found else None
    except YtcaptionError as error:
        return Finding(check, problem=error.message)
    return Finding(check, found, mended)


def said(findings: Iterable[Finding]) -> str:
    """What was found and mended, in one line."""
    parts = []
    for each in findings:
        if each.problem is not None:
            parts.append(f"{each.check.code}: {each.problem}")
        elif each.found:
            done = len(each.mended.done) if each.mended else 0
            parts.append(f"{each.check.code}: {len(each.found):,} found, {done:,} mended.")
    return " ".join(parts) or "All is well."
