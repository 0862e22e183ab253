"""Operators' views and actions on the whole queue.

Public: `overview`, `retry_all`, `cancel_all`, `queue_report` (for people), `queue_metrics` (for
monitoring). This room reads the rows of other rooms, and requeues or cancels transcriptions; it
knows neither HTTP nor the command line.
"""
