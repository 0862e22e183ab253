"""Once a day: the lake is maintained, compared with Postgres, and reported on."""

import dagster as dg

from sensors.jobs import library_job

library_schedule = dg.ScheduleDefinition(
    name="library_schedule",
    job=library_job,
    cron_schedule="53 3 * * *",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Each night, by UTC, half an hour after `maintenance`.",
)
