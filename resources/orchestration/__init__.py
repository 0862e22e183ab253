"""Orchestration: everything that touches Dagster's runs.

Public: `keep_claim` and `claimed_work` (a run's claim and heartbeats), `run_end` (whether and why a
run is over), `run_stop` and `runs` (ending runs), `pauses`, `Orchestrator` (Dagster for the API),
and the launcher, executor, storage and logs that dagster.yaml names. Runs, jobs and tags are known
here; assets, sensors, channels, the lake and HTTP are not.
"""
