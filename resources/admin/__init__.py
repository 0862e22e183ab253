"""Operators' views and actions on the whole queue.

Public: `overview` and `retry_all`, `queue_report` (for people) and `queue_metrics` (for monitoring).
This room reads the rows of other rooms and requeues transcriptions; it knows neither HTTP nor the
command line.
"""
