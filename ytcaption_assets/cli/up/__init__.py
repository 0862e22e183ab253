"""`ytcaption up`, `status`, `worker` and `notifier`: the processes of an installation.

`serve` starts everything, `supervisor` keeps processes running, `program_list` says which ones,
`health` checks them, `orphans` ends those of a killed `up`, `state` describes them in `up.json`,
and `status_report` reads all of it. `dagster_home` writes Dagster's configuration and opens its
instance, for other commands, too; `dagster_daemon` is Dagster's daemon without its delays. The
supervisor must not know what its programs do.
"""
