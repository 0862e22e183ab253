"""The lake: transcripts as DuckLake tables in Parquet files, and SQL over them.

`catalog.TranscriptCatalog` appends, deletes, erases, compacts, verifies and queries. `query` runs
untrusted SQL in a sandboxed child process (`query_child`); `views` holds the named views of `sql/`;
`documents` builds a transcription's rows from its document; `external_reader` gives other programs
read-only access. This room knows transcriptions and the object store, but nothing of HTTP, Dagster
runs, channels or search.
"""
