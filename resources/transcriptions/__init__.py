"""Transcriptions: their rows, state changes, queue and runs, all in Postgres.

Public: `RequestStore` (submit, due, wait, cancel), `RunStore` (writes of a run), `run_settlement`
(runs that ended without recording it), the functions of `reads`, `listing`, `history`, `segments`
and `live_text`, and `TranscriptionActions`. This room knows neither Dagster's runs and sensors nor
HTTP, channels or the lake.
"""
