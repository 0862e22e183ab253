"""Executor of runs: makes the assets one after the other in the run's own process.

Dagster's in-process executor waits for a slot of a pool in a busy loop, which takes a whole core
(dagster-io/dagster#20367), notices a free slot up to 15 s late, and ignores interrupts: a waiting
run cannot be terminated. This one sleeps between checks and can be interrupted.
"""

from collections.abc import Iterator

import dagster as dg

from resources.orchestration.dagster_internals import (
    ExecuteRunWithPlanIterable,
    ExecutionPlan,
    InProcessExecutor,
    InstanceConcurrencyContext,
    PlanExecutionContext,
    PlanExecutionContextManager,
    PlanOrchestrationContext,
    RetryMode,
    inner_plan_execution_iterator,
    pop_captured_interrupt,
)
from resources.processes.process_identity import tag_run_process

FIRST_CHECK_S, MAX_CHECK_S = 0.1, 1.0
"""Seconds between two checks for a slot: at first, and after a long wait."""

_SLOWER = 1.1


class Slots(InstanceConcurrencyContext):
    """The run's slots in Dagster's pools."""

    _checks = 0

    def claim(self, concurrency_key: str, step_key: str, step_priority: int = 0) -> bool:
        """Try to get a slot for the asset; return whether it has one.

        Raises:
            DagsterExecutionInterruptedError: the run was terminated while it waited.
        """
        if pop_captured_interrupt():
            raise dg.DagsterExecutionInterruptedError("Terminated while it waited for a slot.")
        claimed = super().claim(concurrency_key, step_key, step_priority)
        self._checks = 0 if claimed else self._checks + 1
        self._pending_timeouts[step_key] = 0.0  # do not wait longer than the interval below
        return claimed

    def interval_to_next_pending_claim_check(self) -> float:
        """Return the seconds to sleep before the next check."""
        return min(MAX_CHECK_S, FIRST_CHECK_S * _SLOWER**self._checks)


class RunExecutor(InProcessExecutor):
    """Dagster's in-process executor with `Slots`."""

    def execute(
        self, plan_context: PlanOrchestrationContext, execution_plan: ExecutionPlan
    ) -> Iterator[dg.DagsterEvent]:
        """Yield the events of the run's assets."""
        tag_run_process(plan_context.instance, plan_context.dagster_run)
        yield from ExecuteRunWithPlanIterable(
            execution_plan=plan_context.execution_plan,
            iterator=_made,
            execution_context_manager=PlanExecutionContextManager(
                job=plan_context.job,
                retry_mode=plan_context.retry_mode,
                execution_plan=plan_context.execution_plan,
                run_config=plan_context.run_config,
                dagster_run=plan_context.dagster_run,
                instance=plan_context.instance,
                raise_on_error=plan_context.raise_on_error,
                output_capture=plan_context.output_capture,
                step_dependency_config=self.step_dependency_config,
            ),
        )


def _made(
    job_context: PlanExecutionContext, execution_plan: ExecutionPlan
) -> Iterator[dg.DagsterEvent]:
    with Slots(job_context.instance, job_context.dagster_run) as slots:
        yield from inner_plan_execution_iterator(job_context, execution_plan, slots)


@dg.executor(name="in_process", config_schema={})
def run_executor(_context: dg.InitExecutorContext) -> RunExecutor:
    """Return the executor of the jobs. It retries nothing: Postgres alone counts attempts."""
    return RunExecutor(retries=RetryMode.DISABLED)
