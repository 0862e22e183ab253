"""Checks: each finds one kind of damage that a crash can leave, and repairs it.

Finding changes nothing. Before a repair, each finding is verified again under the lock of those
who may work on it: repairs are safe beside a running system and may be repeated.
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
from ytcaption.settings.settings import Settings

GRACE_S = 3600.0
"""Seconds: younger files are never touched."""


@dataclass(frozen=True)
class Installation:
    """The parts of an installation that checks examine.

    Attributes:
        postgres: with the rights of runs and sensors.
        api: with the rights of the API.
        erasure: with the rights of the API, which may erase.
    """

    settings: Settings
    instance: dg.DagsterInstance
    postgres: Postgres
    api: Postgres
    channel_runs: ChannelRuns
    objects: ObjectStore
    workspace: Workspace
    catalog: TranscriptCatalog
    erasure: Erasure

    @classmethod
    def of(cls, settings: Settings, instance: dg.DagsterInstance) -> "Installation":
        """Return the parts that the settings describe."""
        postgres = Postgres.from_settings(settings, "dagster")
        api = Postgres.from_settings(settings, "api")
        return cls(
            settings=settings,
            instance=instance,
            postgres=postgres,
            api=api,
            channel_runs=ChannelRuns(postgres=postgres),
            objects=ObjectStore.from_settings(settings),
            workspace=Workspace.from_settings(settings),
            catalog=TranscriptCatalog.from_settings(settings),
            erasure=Erasure(settings, api, Orchestrator(instance)),
        )


@dataclass
class Repaired:
    """The result of a repair. What had become right by itself is in neither.

    Attributes:
        done: names of what was repaired.
        left: names of what could not be repaired, with the reason.
    """

    done: list[str] = field(default_factory=list)
    left: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Check:
    """One kind of damage.

    Attributes:
        code: for programs.
        what: describes what it finds, for people.
        remedy: describes the repair, for people.
        find: returns the names of what is damaged.
        repair: repairs what has these names.
    """

    code: str
    what: str
    remedy: str
    find: Callable[[Installation], Sequence[str]]
    repair: Callable[[Installation, Sequence[str]], Repaired]


@dataclass(frozen=True)
class Finding:
    """The result of one check.

    Attributes:
        found: names of what is damaged, in order.
        repaired: None if nothing was to be repaired.
        problem: why the check failed; None if it did not.
    """

    check: Check
    found: tuple[str, ...] = ()
    repaired: Repaired | None = None
    problem: str | None = None

    @property
    def is_wrong(self) -> bool:
        """Whether something is, or may be, still damaged."""
        if self.problem is not None:
            return True
        return bool(self.found if self.repaired is None else self.repaired.left)


def one_by_one(
    repair: Callable[[Installation, str], bool],
) -> Callable[[Installation, Sequence[str]], Repaired]:
    """Return a function that repairs each name separately: one failure does not stop the others.

    Args:
        repair: repairs one; returns False if it was right already. May raise YtcaptionError.
    """

    def repair_all(installation: Installation, names: Sequence[str]) -> Repaired:
        repaired = Repaired()
        for name in names:
            try:
                if repair(installation, name):
                    repaired.done.append(name)
            except YtcaptionError as error:
                repaired.left[name] = error.message
        return repaired

    return repair_all


def examine(installation: Installation, check: Check, *, repair: bool) -> Finding:
    """Run a check, and repair what it finds if `repair` is true."""
    try:
        found = tuple(check.find(installation))
        repaired = check.repair(installation, found) if repair and found else None
    except YtcaptionError as error:
        return Finding(check, problem=error.message)
    return Finding(check, found, repaired)


def summary(findings: Iterable[Finding]) -> str:
    """Return in one line what was found and repaired."""
    sentences = []
    for each in findings:
        if each.problem is not None:
            sentences.append(f"{each.check.code}: {each.problem}")
        elif each.found:
            done = len(each.repaired.done) if each.repaired else 0
            sentences.append(f"{each.check.code}: {len(each.found):,} found, {done:,} repaired.")
    return " ".join(sentences) or "All is well."
