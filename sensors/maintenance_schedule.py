"""Schedule: removes, once a day, what is too old, and repairs what crashes have left."""

from collections.abc import Sequence

import dagster as dg

from resources.maintenance.check import Check, Finding, Installation, examine
from resources.maintenance.check_registry import EACH_DAY
from resources.maintenance.retention import RETENTION
from resources.orchestration.console import CONSOLE_CONFIG
from resources.orchestration.executor import run_executor
from ytcaption.settings.settings import load_settings

SHOWN = 5
"""Names listed per check in the run's metadata."""


@dg.op(description="Removes what is older than the settings allow, except what is pinned.")
def retention(context: dg.OpExecutionContext) -> None:
    """Run the checks of retention; the metadata count what was removed."""
    _run(context, RETENTION)


@dg.op(ins={"after": dg.In(dg.Nothing)}, description="Repairs what `ytcaption doctor` would find.")
def sweep(context: dg.OpExecutionContext) -> None:
    """Run the daily checks; the metadata count what was repaired."""
    _run(context, EACH_DAY)


@dg.job(
    executor_def=run_executor,
    config=CONSOLE_CONFIG,
    description="Retention and repairs: audio, transcripts, partitions, runs, files, rows.",
)
def maintenance() -> None:
    """Apply retention first: what is too old needs no repair."""
    sweep(retention())


maintenance_schedule = dg.ScheduleDefinition(
    name="maintenance_schedule",
    job=maintenance,
    cron_schedule="23 3 * * *",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Every night, by UTC.",
)


def _run(context: dg.OpExecutionContext, checks: Sequence[Check]) -> None:
    installation = Installation.of(load_settings(), context.instance)
    findings = []
    for check in checks:
        finding = examine(installation, check, repair=True)
        findings.append(finding)
        if finding.problem is not None:
            context.log.error("%s: %s", check.code, finding.problem)
    context.add_output_metadata(_counts(findings))
    if any(finding.problem is not None for finding in findings):
        raise dg.Failure(
            "A part was unavailable. The rest is done next night.",
            metadata=_counts(findings),
            allow_retries=False,
        )


def _counts(findings: Sequence[Finding]) -> dict[str, dg.MetadataValue]:
    counts: dict[str, dg.MetadataValue] = {}
    for finding in findings:
        code, repaired = finding.check.code, finding.repaired
        counts[code] = dg.MetadataValue.int(len(repaired.done) if repaired else 0)
        if repaired and repaired.done:
            listed = "\n".join(f"- {name}" for name in repaired.done[:SHOWN])
            more = f"\n- and {len(repaired.done) - SHOWN:,} more" * (len(repaired.done) > SHOWN)
            counts[f"{code}_names"] = dg.MetadataValue.md(listed + more)
        if repaired and repaired.left:
            left = "\n".join(
                f"- {name}: {reason}" for name, reason in [*repaired.left.items()][:SHOWN]
            )
            counts[f"{code}_left"] = dg.MetadataValue.md(left)
    return counts
