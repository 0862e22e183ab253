"""Tags of runs."""

CHANNEL_TAG = "ytcaption/channel"
"""Of runs: the channel that they list, or whose item they transcribe."""


JOB_TAG = "ytcaption/job"
"""Of runs: which job's. By it Dagster's queue keeps places for each."""
