"""What came of a storm, and how it is told."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.chaos.verify import Facts
from tests.support.servers.webhook_receiver import Received
from ytcaption.domain.events import EventType


@dataclass
class Outcome:
    """What came of it.

    Attributes:
        wrong: sentences, by check.
        counts: for people.
    """

    wrong: dict[str, list[str]] = field(default_factory=dict)
    counts: dict[str, object] = field(default_factory=dict)

    @property
    def is_sound(self) -> bool:
        """Nothing is wrong."""
        return not any(self.wrong.values())


def counts_of(facts: Facts, received: list[Received]) -> dict[str, object]:
    """How many of what there were."""
    statuses = Counter(
        row["status"] if row["error_code"] is None else f"{row['status']}: {row['error_code']}"
        for row in facts.rows.values()
    )
    events = Counter(event["event_type"] for events in facts.events.values() for event in events)
    ids = {each.id for each in received}
    return {
        **dict(sorted(statuses.items())),
        "attempts": events[EventType.STARTED],
        "attempts that failed": events[EventType.RETRIED],
        "webhooks: endings": len(ids),
        "webhooks: repeated": len(received) - len(ids),
    }


def print_outcome(outcome: Outcome, log: Path, console: Console) -> None:
    """The counts, the checks, and what is wrong."""
    table = Table("count", "")
    for name, value in outcome.counts.items():
        table.add_row(name, str(value))
    console.print(table)
    checks = Table("check", "")
    for name, found in outcome.wrong.items():
        checks.add_row(name, f"{len(found)} wrong" if found else "holds")
    console.print(checks)
    for name, found in outcome.wrong.items():
        for sentence in found[:10]:
            console.print(f"{name}: {sentence}", markup=False, soft_wrap=True)
    console.print(f"What `up` said is in {log}", soft_wrap=True)
