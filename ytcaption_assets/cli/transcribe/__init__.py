"""`ytcaption transcribe`: on this machine (`local`) or on a server (`remote`).

Public: `local.transcribe_sources` and `remote.transcribe_at_server`, which return the exit status.
If no `ytcaption up` runs on the home, `run_process` executes the runs in a separate process, which
`run_process_client` starts and stops. `remote` only uses the client and must not open a database.
"""
