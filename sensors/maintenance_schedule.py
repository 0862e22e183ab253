"""Once a day: what is too old goes, and what crashes have left is mended."""

from collections.abc import Sequence

import dagster as dg

from resources.maintenance.check import Check, Finding, Parts, examine
from resources.maintenance.check_registry import EACH_DAY
from resources.maintenance.retention import RETENTION
from resources.orchestration.console import CONSOLE_CONFIG
from resources.orchestration.executor import run_executor
from ytcaption.settings import load_settings

SHOWN = 5
"""Names of each kind that the run's metadata list."""


@dg.op(description="Takes away what is older than the settings allow. `keep` wins over every age.")
def retention(context: dg.OpExecutionContext) -> None:
    """Its metadata count what went."""
    _make(context, RETENTION)


@dg.op(ins={"after": dg.In(dg.Nothing)}, description="Mends what `ytcaption doctor` would find.")
def sweep(context: dg.OpExecutionContext) -> None:
    """Its metadata count what was mended."""
    _make(context, EACH_DAY)


@dg.job(
    executor_def=run_executor,
    config=CONSOLE_CONFIG,
    description="Ages and leftovers: audio, transcripts, partitions, runs, files, rows.",
)
def maintenance() -> None:
    """What is too old goes first: it is no leftover."""
    sweep(retention())


maintenance_schedule = dg.ScheduleDefinition(
    name="maintenance_schedule",
    job=maintenance,
    cron_schedule="23 3 * * *",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Each night, by UTC.",
)


def _make(context: dg.OpExecutionContext, checks: Sequence[Check]) -> None:
    parts = Parts.of(load_settings(), context.instance)
    findings = []
    for check in checks:
        finding = examine(parts, check, repair=True)
        findings.append(finding)
        if finding.problem is not None:
            context.log.error("%s: %s", check.code, finding.problem)
    context.add_output_metadata(_counts(findings))
    if any(finding.problem is not None for finding in findings):
        raise dg.Failure(
            "A part was away. What is left is done the next night.",
            metadata=_counts(findings),
            allow_retries=False,
        )


def _counts(findings: Sequence[Finding]) -> dict[str, dg.MetadataValue]:
    counts: dict[str, dg.MetadataValue] = {}
    for finding in findings:
        code, mended = finding.check.code, finding.mended
        counts[code] = dg.MetadataValue.int(len(mended.done) if mended else 0)
        if mended and mended.done:
            listed = "\n".join(f"- {name}" for name in mended.done[:SHOWN])
            more = f"\n- and {len(mended.done) - SHOWN:,} more" * (len(mended.done) > SHOWN)
            counts[f"{code}_names"] = dg.MetadataValue.md(listed + more)
        if mended and mended.left:
            left = "\n".join(f"- {name}: {why}" for name, why in [*mended.left.items()][:SHOWN])
            counts[f"{code}_left"] = dg.MetadataValue.md(left)
    return counts
