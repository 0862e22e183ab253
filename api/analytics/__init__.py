"""Analytics over HTTP: views of the lake, SELECTs of one's own, and the library's reports.

`service.Analytics` limits concurrency and restricts callers to their own transcriptions;
`answer.table_response` runs a query on a thread and encodes its rows. Queries run in child
processes of `resources.lake`.
"""
