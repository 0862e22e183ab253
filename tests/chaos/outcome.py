"""The result of a storm, and its report."""

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
    """The result of a storm.

    Attributes:
        wrong: sentences about what is wrong, by check.
        counts: numbers for the report.
    """

    wrong: dict[str, list[str]] = field(default_factory=dict)
    counts: dict[str, object] = field(default_factory=dict)

    @property
    def is_sound(self) -> bool:
        """Whether no check found anything wrong."""
        return not any(self.wrong.values())


def counts_of(facts: Facts, received: list[Received]) -> dict[str, object]:
    """Return the numbers for the report."""
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
    """Print the counts, the checks, and what is wrong."""
    table = Table("count", "")
    for name, value in outcome.counts.items():
        table.add_row(name, str(value))
    console.print(table)
    checks = Table("check", "")
    for name, sentences in outcome.wrong.items():
        checks.add_row(name, f"{len(sentences)} wrong" if sentences else "holds")
    console.print(checks)
    for name, sentences in outcome.wrong.items():
        for sentence in sentences[:10]:
            console.print(f"{name}: {sentence}", markup=False, soft_wrap=True)
    console.print(f"The output of `up` is in {log}", soft_wrap=True)
