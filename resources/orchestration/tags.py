"""Tags of Dagster runs."""

PARTITION_TAG = "dagster/partition"
RUN_KEY_TAG = "dagster/run_key"

ATTEMPT_TAG = "ytcaption/attempt"
"""The attempt a run was started for. Runs started by hand have none."""

TRACE_TAG = "ytcaption/traceparent"
"""W3C trace context of the request that queued the run."""

CHANNEL_TAG = "ytcaption/channel"
"""The channel a run lists, or whose item it transcribes."""

JOB_TAG = "ytcaption/job"
"""The run's job, by which Dagster's queue limits the number of runs."""
