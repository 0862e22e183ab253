"""Names of Dagster's private modules (`dagster._*`), which no other file may import.

Dagster promises nothing about these names: each upgrade of Dagster may move or remove one. Here is
the whole list, each with the reason why no public name would do;
`tests/resources/orchestration/test_dagster_internals.py` resolves every one against the installed
Dagster, and `tests/test_architecture.py` refuses `dagster._*` anywhere else.

A name is imported from its module when it is first used, so importing this module costs nothing and
importing one name from it costs no more than importing that name from Dagster.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from dagster._cli.api import execute_run_command as execute_run_command
    from dagster._cli.utils import get_instance_for_cli as get_instance_for_cli
    from dagster._config.config_schema import UserConfigSchema as UserConfigSchema
    from dagster._core.events import JobFailureData as JobFailureData
    from dagster._core.execution.api import ExecuteRunWithPlanIterable as ExecuteRunWithPlanIterable
    from dagster._core.execution.compute_logs import redirect_to_file as redirect_to_file
    from dagster._core.execution.context.system import PlanExecutionContext as PlanExecutionContext
    from dagster._core.execution.context.system import (
        PlanOrchestrationContext as PlanOrchestrationContext,
    )
    from dagster._core.execution.context_creation_job import (
        PlanExecutionContextManager as PlanExecutionContextManager,
    )
    from dagster._core.execution.plan.execute_plan import (
        inner_plan_execution_iterator as inner_plan_execution_iterator,
    )
    from dagster._core.execution.plan.instance_concurrency_context import (
        InstanceConcurrencyContext as InstanceConcurrencyContext,
    )
    from dagster._core.execution.plan.objects import StepFailureData as StepFailureData
    from dagster._core.execution.plan.plan import ExecutionPlan as ExecutionPlan
    from dagster._core.execution.retries import RetryMode as RetryMode
    from dagster._core.executor.in_process import InProcessExecutor as InProcessExecutor
    from dagster._core.instance.ref import InstanceRef as InstanceRef
    from dagster._core.launcher import CheckRunHealthResult as CheckRunHealthResult
    from dagster._core.launcher import LaunchRunContext as LaunchRunContext
    from dagster._core.launcher import WorkerStatus as WorkerStatus
    from dagster._core.log_manager import LOG_RECORD_METADATA_ATTR as LOG_RECORD_METADATA_ATTR
    from dagster._core.remote_representation.code_location import (
        GrpcServerCodeLocation as GrpcServerCodeLocation,
    )
    from dagster._core.scheduler.instigation import InstigatorState as InstigatorState
    from dagster._core.scheduler.instigation import InstigatorStatus as InstigatorStatus
    from dagster._core.scheduler.instigation import InstigatorType as InstigatorType
    from dagster._core.scheduler.instigation import ScheduleInstigatorData as ScheduleInstigatorData
    from dagster._core.scheduler.instigation import SensorInstigatorData as SensorInstigatorData
    from dagster._core.storage.compute_log_manager import CapturedLogContext as CapturedLogContext
    from dagster._core.storage.compute_log_manager import ComputeIOType as ComputeIOType
    from dagster._core.storage.event_log.schema import (
        AssetCheckExecutionsTable as AssetCheckExecutionsTable,
    )
    from dagster._core.storage.event_log.schema import AssetKeyTable as AssetKeyTable
    from dagster._core.storage.event_log.sql_event_log import (
        SqlEventLogStorage as SqlEventLogStorage,
    )
    from dagster._core.storage.local_compute_log_manager import (
        IO_TYPE_EXTENSION as IO_TYPE_EXTENSION,
    )
    from dagster._core.storage.local_compute_log_manager import (
        LocalComputeLogManager as LocalComputeLogManager,
    )
    from dagster._core.workspace.context import (
        BaseWorkspaceRequestContext as BaseWorkspaceRequestContext,
    )
    from dagster._core.workspace.context import IWorkspaceProcessContext as IWorkspaceProcessContext
    from dagster._core.workspace.context import WorkspaceProcessContext as WorkspaceProcessContext
    from dagster._core.workspace.load_target import WorkspaceFileTarget as WorkspaceFileTarget
    from dagster._daemon.controller import create_daemon_of_type as create_daemon_of_type
    from dagster._daemon.controller import (
        daemon_controller_from_instance as daemon_controller_from_instance,
    )
    from dagster._daemon.daemon import DaemonIterator as DaemonIterator
    from dagster._daemon.daemon import DagsterDaemon as DagsterDaemon
    from dagster._daemon.daemon import SensorDaemon as SensorDaemon
    from dagster._daemon.daemon import SpanMarker as SpanMarker
    from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import (
        QueuedRunCoordinatorDaemon as QueuedRunCoordinatorDaemon,
    )
    from dagster._daemon.sensor import (
        execute_sensor_iteration_loop as execute_sensor_iteration_loop,
    )
    from dagster._daemon.utils import DaemonErrorCapture as DaemonErrorCapture
    from dagster._grpc.types import ExecuteRunArgs as ExecuteRunArgs
    from dagster._serdes import ConfigurableClassData as ConfigurableClassData
    from dagster._utils import ensure_file as ensure_file
    from dagster._utils import get_run_crash_explanation as get_run_crash_explanation
    from dagster._utils import touch_file as touch_file
    from dagster._utils.hosted_user_process import recon_job_from_origin as recon_job_from_origin
    from dagster._utils.interrupts import capture_interrupts as capture_interrupts
    from dagster._utils.interrupts import pop_captured_interrupt as pop_captured_interrupt
    from dagster._utils.interrupts import setup_interrupt_handlers as setup_interrupt_handlers
    from dagster._utils.log import create_console_logger as create_console_logger


class PrivateName(NamedTuple):
    """A name of Dagster that is not public.

    Attributes:
        module: private module that defines it.
        reason: why it is needed.
    """

    module: str
    reason: str


_CONTROLLER = "dagster._daemon.controller"
_DAEMON = "dagster._daemon.daemon"
_EVENT_LOG = "dagster._core.storage.event_log"
_INSTIGATION = "dagster._core.scheduler.instigation"
_INTERRUPTS = "dagster._utils.interrupts"
_LAUNCHER = "dagster._core.launcher"
_LOCAL_LOGS = "dagster._core.storage.local_compute_log_manager"
_LOGS = "dagster._core.storage.compute_log_manager"

PRIVATE_NAMES: dict[str, PrivateName] = {
    # --- run launcher and run server -------------------------------------------------------------
    "CheckRunHealthResult": PrivateName(_LAUNCHER, "What a run launcher's health check returns."),
    "LaunchRunContext": PrivateName(_LAUNCHER, "What a run launcher receives for each run."),
    "WorkerStatus": PrivateName(_LAUNCHER, "The states in a CheckRunHealthResult."),
    "BaseWorkspaceRequestContext": PrivateName(
        "dagster._core.workspace.context", "Type of LaunchRunContext.workspace."
    ),
    "GrpcServerCodeLocation": PrivateName(
        "dagster._core.remote_representation.code_location",
        "Has the code server's id, by which the run server sees that the code was loaded again.",
    ),
    "ExecuteRunArgs": PrivateName(
        "dagster._grpc.types", "The arguments of `dagster api execute_run`, which a fork executes."
    ),
    "execute_run_command": PrivateName(
        "dagster._cli.api", "`dagster api execute_run`, called in the forked process."
    ),
    "recon_job_from_origin": PrivateName(
        "dagster._utils.hosted_user_process", "Loads a run's job before the fork, not after it."
    ),
    "get_run_crash_explanation": PrivateName(
        "dagster._utils", "Dagster's own message about a run whose process died."
    ),
    "InstanceRef": PrivateName(
        "dagster._core.instance.ref",
        "Opens an instance with a storage that is not read from the environment.",
    ),
    "UserConfigSchema": PrivateName(
        "dagster._config.config_schema", "Return type of `config_type` of a configurable class."
    ),
    "ConfigurableClassData": PrivateName(
        "dagster._serdes", "Argument of the constructor of a class that dagster.yaml names."
    ),
    # --- executor --------------------------------------------------------------------------------
    "InProcessExecutor": PrivateName(
        "dagster._core.executor.in_process", "Base class of the executor: one process a run."
    ),
    "RetryMode": PrivateName(
        "dagster._core.execution.retries", "Switches Dagster's own retries off."
    ),
    "ExecuteRunWithPlanIterable": PrivateName(
        "dagster._core.execution.api", "Executes a plan as InProcessExecutor does."
    ),
    "ExecutionPlan": PrivateName(
        "dagster._core.execution.plan.plan", "Type of an executor's argument."
    ),
    "PlanExecutionContext": PrivateName(
        "dagster._core.execution.context.system", "Type of the context inside a plan."
    ),
    "PlanOrchestrationContext": PrivateName(
        "dagster._core.execution.context.system", "Type of an executor's argument."
    ),
    "PlanExecutionContextManager": PrivateName(
        "dagster._core.execution.context_creation_job", "Makes the context inside a plan."
    ),
    "inner_plan_execution_iterator": PrivateName(
        "dagster._core.execution.plan.execute_plan",
        "Executes the steps of a plan with the pool slots that it is given.",
    ),
    "InstanceConcurrencyContext": PrivateName(
        "dagster._core.execution.plan.instance_concurrency_context",
        "Base class of the pool slots: Dagster's own waits for a slot without a pause.",
    ),
    "pop_captured_interrupt": PrivateName(
        _INTERRUPTS, "Lets a run that waits for a slot be terminated."
    ),
    # --- logs ------------------------------------------------------------------------------------
    "LocalComputeLogManager": PrivateName(_LOCAL_LOGS, "Base class of the log manager."),
    "IO_TYPE_EXTENSION": PrivateName(_LOCAL_LOGS, "File names of a run's two streams."),
    "CapturedLogContext": PrivateName(_LOGS, "What capturing a run's logs yields."),
    "ComputeIOType": PrivateName(_LOGS, "The two streams of a run."),
    "redirect_to_file": PrivateName(
        "dagster._core.execution.compute_logs", "Redirects a stream by its file descriptor."
    ),
    "ensure_file": PrivateName("dagster._utils", "Makes a log file with its folder."),
    "touch_file": PrivateName("dagster._utils", "Makes the file that marks a log as complete."),
    "create_console_logger": PrivateName(
        "dagster._utils.log", "The console logger whose formatter is wrapped."
    ),
    "LOG_RECORD_METADATA_ATTR": PrivateName(
        "dagster._core.log_manager", "Attribute of a log record that holds Dagster's event."
    ),
    "JobFailureData": PrivateName("dagster._core.events", "Event data of a run that failed."),
    "StepFailureData": PrivateName(
        "dagster._core.execution.plan.objects",
        "Event data of a step that failed; has the message of `dg.Failure`.",
    ),
    # --- storage ---------------------------------------------------------------------------------
    "AssetCheckExecutionsTable": PrivateName(
        f"{_EVENT_LOG}.schema", "Rows that Dagster keeps when a run's events are deleted."
    ),
    "AssetKeyTable": PrivateName(
        f"{_EVENT_LOG}.schema",
        "Holds each asset's latest materialization after its events are deleted.",
    ),
    "SqlEventLogStorage": PrivateName(
        f"{_EVENT_LOG}.sql_event_log", "Gives the connection on which those tables are changed."
    ),
    # --- daemon ----------------------------------------------------------------------------------
    "get_instance_for_cli": PrivateName("dagster._cli.utils", "What `dagster-daemon run` calls."),
    "daemon_controller_from_instance": PrivateName(_CONTROLLER, "What `dagster-daemon run` calls."),
    "create_daemon_of_type": PrivateName(_CONTROLLER, "Makes the daemons that are not replaced."),
    "WorkspaceFileTarget": PrivateName(
        "dagster._core.workspace.load_target", "Names the workspace.yaml for the controller."
    ),
    "IWorkspaceProcessContext": PrivateName(
        "dagster._core.workspace.context", "Type of the argument of a daemon's loop."
    ),
    "DagsterDaemon": PrivateName(_DAEMON, "Type of a daemon."),
    "DaemonIterator": PrivateName(_DAEMON, "Return type of a daemon's loop."),
    "SensorDaemon": PrivateName(_DAEMON, "Base class of the sensor daemon with a shorter sleep."),
    "SpanMarker": PrivateName(_DAEMON, "What a daemon's loop yields around an iteration."),
    "QueuedRunCoordinatorDaemon": PrivateName(
        "dagster._daemon.run_coordinator.queued_run_coordinator_daemon",
        "Base class of the run queue daemon with a shorter sleep.",
    ),
    "execute_sensor_iteration_loop": PrivateName(
        "dagster._daemon.sensor", "The sensor daemon's loop, to which another sleep is given."
    ),
    "DaemonErrorCapture": PrivateName(
        "dagster._daemon.utils", "Reports an exception of a daemon's loop as Dagster does."
    ),
    # --- ticks -----------------------------------------------------------------------------------
    "InstigatorState": PrivateName(_INSTIGATION, "When a sensor or schedule has ticked."),
    "InstigatorStatus": PrivateName(_INSTIGATION, "Whether a person has stopped it."),
    "InstigatorType": PrivateName(_INSTIGATION, "Tells a sensor's state from a schedule's."),
    "SensorInstigatorData": PrivateName(
        _INSTIGATION, "A sensor's notes of the time, which are reset after the clock was set back."
    ),
    "ScheduleInstigatorData": PrivateName(_INSTIGATION, "The same of a schedule."),
    # --- daemon: interrupts ----------------------------------------------------------------------
    "capture_interrupts": PrivateName(_INTERRUPTS, "What `dagster-daemon run` calls."),
    "setup_interrupt_handlers": PrivateName(_INTERRUPTS, "What `dagster-daemon run` calls."),
    # --- web page --------------------------------------------------------------------------------
    "WorkspaceProcessContext": PrivateName(
        "dagster._core.workspace.context", "What `dagster-webserver` gives to its app."
    ),
}

PRELOADED_MODULES = (
    "dagster._cli.api",
    "dagster._core.execution.plan.active",
    "dagster._core.executor.in_process",
    "dagster._core.instance.factory",
    "dagster._core.storage.root",
    "dagster._core.system_config.composite_descent",
)
"""Modules that a run imports, which the run server imports once, before it forks the first run."""

ARTIFACT_STORAGE = PrivateName(
    "dagster._core.storage.root", "LocalArtifactStorage: `local_artifact_storage` in dagster.yaml."
)

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """Import a name from its private module at its first use."""
        if name not in PRIVATE_NAMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(PRIVATE_NAMES[name].module), name)
        globals()[name] = value
        return value
