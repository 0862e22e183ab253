"""`ytcaption doctor`: find and repair what crashes have left behind."""

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from ytcaption_assets.cli.database import opened_database
from ytcaption_assets.cli.terminal_text import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from resources.maintenance.check import Check, Finding

SHOWN = 3


def doctor(
    repair: Annotated[bool, typer.Option("--repair", help="Repair what is wrong.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
) -> None:
    """Find what a crash can leave inconsistent in Postgres, Dagster, the object store and the lake.

    Safe while the system runs, and can be repeated. Exit status: 0 nothing is wrong or everything
    was repaired, 1 something is wrong.
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
    """Run the checks one after the other and show on standard error which one runs.

    It does not matter whether `up` runs.

    Raises:
        DatabaseUnavailable, SetupError: Postgres or Dagster's database is not available.
    """
    from rich.console import Console

    from resources.maintenance.check import Installation, examine
    from ytcaption_assets.cli.up.dagster_home import dagster_instance

    console = Console(stderr=True)
    with opened_database() as (settings, _), dagster_instance(settings) as instance:
        installation = Installation.of(settings, instance)
        findings = []
        with console.status("Checking") as status:
            for check in checks:
                status.update(f"Checking for {check.what}")
                findings.append(examine(installation, check, repair=repair))
    return findings


def print_findings(
    findings: "Sequence[Finding]", console: "Console", *, repair: bool, well: str = "All is well."
) -> None:
    """Print a table of the findings.

    Args:
        well: message if there are none.
    """
    from rich.markup import escape
    from rich.table import Table

    reported = [each for each in findings if each.found or each.problem]
    if not reported:
        console.print(well)
        return
    table = Table("finding", "number", "examples", "repair made" if repair else "repair to be made")
    table.columns[1].justify = "right"
    table.columns[2].overflow = "fold"
    for each in reported:
        examples = "\n".join(each.found[:SHOWN]) + "\n..." * (len(each.found) > SHOWN)
        table.add_row(
            each.check.what,
            f"{len(each.found):,}",
            escape(printable(examples)),
            escape(printable(_repair_text(each))),
        )
    console.print(table)
    for each in reported:
        for name, reason in [*(each.repaired.left.items() if each.repaired else ())][:SHOWN]:
            console.print(printable(f"{name}: {reason}"), markup=False, soft_wrap=True)


def _repair_text(finding: "Finding") -> str:
    if finding.problem is not None:
        return f"not checked: {finding.problem}"
    if finding.repaired is None:
        return finding.check.remedy
    left = f"; {len(finding.repaired.left):,} failed" if finding.repaired.left else ""
    return f"{len(finding.repaired.done):,}: {finding.check.remedy}{left}"


def _document(finding: "Finding") -> dict[str, object]:
    repaired = finding.repaired
    return {
        "code": finding.check.code,
        "what": finding.check.what,
        "remedy": finding.check.remedy,
        "found": finding.found,
        "repaired": repaired.done if repaired else [],
        "mended": repaired.done if repaired else [],  # its name before 0.2
        "left": repaired.left if repaired else {},
        "problem": finding.problem,
    }
