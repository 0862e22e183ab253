"""Transcriptions over HTTP: request one or many, follow, list, read, cancel, retry, pin, erase.

Public to other features: `submission.Submitter` (the one way a request is accepted),
`watch.Watcher` (waiting for changes), `view` (a row as its status), `result` (captions and
transcripts), `listing` (filters and pages), `request_schemas`, `schemas`, `dependencies`. Knows no
other feature of the API except `api.http`.
"""
