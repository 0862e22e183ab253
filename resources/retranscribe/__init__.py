"""Retranscription: makes transcriptions again with other options, chosen by a filter expression.

Public: `parse_retranscription` (a user's input to a plan), `enqueue_retranscriptions` (a plan to
queued requests) and `COLUMNS` (what a filter may name). This room knows neither HTTP nor the
command line, and starts no runs.
"""
