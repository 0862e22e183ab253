"""`ytcaption doctor`: what crashes have left, and mending it."""

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from ytcaption_assets.cli.database import opened_database

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from resources.maintenance.check import Check, Finding

SHOWN = 3


def doctor(
    repair: Annotated[bool, typer.Option("--repair", help="Mend what is wrong.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Looks for all that a crash can leave: in Postgres, Dagster, the object store, the lake.

    Safe beside a running system, and may be repeated. Exit status: 0 all is well or has been
    mended, 1 something is wrong.
    """
    from rich.console import Console

    from resources.maintenance.check_registry import ALL_CHECKS

    findings = make_checks(ALL_CHECKS, repair=repair)
    if as_json:
        sys.stdout.write(json.dumps([_document(each) for each in findings], indent=2) + "\n")
    else:
        print_findings(findings, Console(highlight=False), repair=repair)
    raise typer.Exit(1 if any(each.is_wrong for each in findings) else 0)


def make_checks(checks: "Sequence[Check]", *, repair: bool) -> "list[Finding]":
    """One after the other, whether `up` runs or not; a line on standard error says which.

    Raises:
        DatabaseUnavailable, SetupError: Postgres or Dagster's database is away.
    """
    from rich.console import Console

    from resources.maintenance.check import Installation, examine
    from ytcaption_assets.cli.up.dagster_home import dagster_instance

    console = Console(stderr=True)
    with opened_database() as (settings, _), dagster_instance(settings) as instance:
        installation = Installation.of(settings, instance)
        findings = []
        with console.status("Looking") as status:
            for check in checks:
                status.update(f"Looking for {check.what}")
                findings.append(examine(installation, check, repair=repair))
    return findings


def print_findings(
    findings: "Sequence[Finding]", console: "Console", *, repair: bool, well: str = "All is well."
) -> None:
    """A table of what was found.

    Args:
        well: what is said where that is nothing.
    """
    from rich.markup import escape
    from rich.table import Table

    found = [each for each in findings if each.found or each.problem]
    if not found:
        console.print(well)
        return
    table = Table("what", "number", "such as", "what was done" if repair else "what would be done")
    table.columns[1].justify = "right"
    table.columns[2].overflow = "fold"
    for each in found:
        examples = "\n".join(each.found[:SHOWN]) + "\n..." * (len(each.found) > SHOWN)
        table.add_row(
            each.check.what, f"{len(each.found):,}", escape(examples), escape(_done(each))
        )
    console.print(table)
    for each in found:
        for name, reason in [*(each.repaired.left.items() if each.repaired else ())][:SHOWN]:
            console.print(f"{name}: {reason}", markup=False, soft_wrap=True)


def _done(finding: "Finding") -> str:
    if finding.problem is not None:
        return f"not looked at: {finding.problem}"
    if finding.repaired is None:
        return finding.check.remedy
    left = f"; {len(finding.repaired.left):,} could not be" if finding.repaired.left else ""
    return f"{len(finding.repaired.done):,}: {finding.check.remedy}{left}"


def _document(finding: "Finding") -> dict[str, object]:
    repaired = finding.repaired
    return {
        "code": finding.check.code,
        "what": finding.check.what,
        "remedy": finding.check.remedy,
        "found": finding.found,
        "mended": repaired.done if repaired else [],
        "left": repaired.left if repaired else {},
        "problem": finding.problem,
    }
