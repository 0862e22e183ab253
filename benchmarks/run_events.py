"""Reads a run's process and its assets' times from its event log."""

import dagster as dg


def run_pid(record: dg.EventLogEntry) -> int | None:
    """Return the run's process number if the event is about its start."""
    message = (record.dagster_event and record.dagster_event.message) or ""
    is_start = message.startswith("Started process for run (pid: ")
    return int(message.split()[-1].rstrip(").")) if is_start else None


def asset_bodies(records: list[dg.EventLogEntry]) -> list[tuple[float, float]]:
    """Return the start and end time of each asset's function."""
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
