"""Sensors, schedules and jobs: when runs start and what happens after they end.

They read state from `resources` and start runs of the jobs in `jobs`. They know assets by name only
and contain no SQL and no rules about transcriptions.
"""
