"""Reports a run whose process ended with an error, as Dagster's code server does."""

import dagster as dg

from resources.orchestration.dagster_internals import InstanceRef, get_run_crash_explanation
from resources.processes.process_identity import RunProcess


def settle_dead_run(instance_ref: str, run_id: str, pid: int, exit_code: int) -> None:
    """Report a run as failed if its process ended before the run did.

    Args:
        instance_ref: serialized InstanceRef.
        pid: process id; a run that has another process by now is left alone.
        exit_code: exit status, or the negative number of the signal that ended the process.
    """
    with dg.DagsterInstance.from_ref(dg.deserialize_value(instance_ref, InstanceRef)) as instance:
        run = instance.get_run_by_id(run_id)
        if run is None or run.is_finished:
            return
        process = RunProcess.of_run(run.tags)
        if process is None or process.pid != pid:
            return
        message = get_run_crash_explanation(f"Run execution process for {run_id}", exit_code)
        instance.report_engine_event(message, run)
        instance.report_run_failed(run)
