"""HTTP for all features: middleware, errors as RFC 9457 problems, cursors, ranges, ETags, logs.

Public: `errors.problem` and the table of statuses, `pagination`, `fields` (types and checks of
request fields), `schemas.Problem`, `middleware`, `tracing`, `byte_ranges`. Knows no feature: it
must not import another room of the API.
"""
