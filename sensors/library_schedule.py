"""Schedule: maintains the lake and writes the library report, once a day."""

import dagster as dg

from sensors.jobs import library_job

library_schedule = dg.ScheduleDefinition(
    name="library_schedule",
    job=library_job,
    cron_schedule="53 3 * * *",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Every night, by UTC, half an hour after `maintenance`.",
)
