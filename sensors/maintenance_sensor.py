"""What crashes leave is mended by itself: the cheap kinds each minute."""

import dagster as dg

from resources.maintenance.check import Parts, examine, said
from resources.maintenance.check_registry import EACH_MINUTE
from ytcaption.settings import load_settings


@dg.sensor(
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Mends what a crash has left of runs, slots, drafts and deliveries.",
)
def maintenance_sensor(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """Starts no run: its skip reason says what was mended."""
    parts = Parts.of(load_settings(), context.instance)
    return dg.SkipReason(said(examine(parts, check, repair=True) for check in EACH_MINUTE))
