"""Sensor: repairs, every minute, what crashes have left; the cheap checks only."""

import dagster as dg

from resources.maintenance.check import Installation, examine, summary
from resources.maintenance.check_registry import EACH_MINUTE
from resources.postgres.database_clock import DATABASE_CLOCK
from ytcaption.settings.settings import load_settings


@dg.sensor(
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Repairs what a crash has left of runs, slots, drafts and deliveries, and ends "
    "expired keys.",
)
def maintenance_sensor(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """Start no run: the skip reason says what was repaired."""
    installation = Installation.of(load_settings(), context.instance)
    if DATABASE_CLOCK.was_just_set(installation.postgres):
        return dg.SkipReason("The clock was set a moment ago: runs send their heartbeats first.")
    return dg.SkipReason(
        summary(examine(installation, check, repair=True) for check in EACH_MINUTE)
    )
