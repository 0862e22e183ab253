"""What the event log of a run says of its process and its assets."""

import dagster as dg


def run_pid(record: dg.EventLogEntry) -> int | None:
    """The run's process, where the event is about its start."""
    said = (record.dagster_event and record.dagster_event.message) or ""
    begins = said.startswith("Started process for run (pid: ")
    return int(said.split()[-1].rstrip(").")) if begins else None


def asset_bodies(records: list[dg.EventLogEntry]) -> list[tuple[float, float]]:
    """From when to when each asset's function worked."""
    started: dict[str, float] = {}
    bodies: list[tuple[float, float]] = []
    for record in records:
        event = record.dagster_event
        if event is None or event.step_key is None:
            continue
        if event.event_type_value == "STEP_START":
            started[event.step_key] = record.timestamp
        elif event.event_type_value in ("ASSET_CHECK_EVALUATION", "STEP_OUTPUT") and (
            start := started.pop(event.step_key, None)
        ):
            bodies.append((start, record.timestamp))
    return bodies
