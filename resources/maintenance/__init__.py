"""Maintenance: finds and repairs what crashes leave, and removes what is too old.

Public: `Check` and `examine` (one kind of damage), the lists of `check_registry` and `RETENTION`,
`Erasure` (one transcription), `purge` (many) and `lost_runs`. This is the top floor of `resources`:
it may use every room and knows neither HTTP, the command line nor sensors.
"""
