"""Workers: processes that keep models loaded and transcribe and embed for runs, here or elsewhere.

For runs: `transcriber_of` and `WorkerTranscriber` (transcriber.py), `warm_embedder_of`
(embedder.py), which use a worker if one is free and this process otherwise; `Worker`, `worker_at`
and `local_workers` (client.py), the HTTP client. For the worker process: `serve_here` and
`serve_others` (server.py), the HTTP application (app.py), its jobs (jobs.py) and the process that
holds the embedding model (embedding_process.py, embedding_child.py). Both sides share the messages
in protocol.py and embedding_protocol.py: workers of another version speak them too, so the JSON
names stay as they are.

It must not know the database, Dagster runs or transcripts that are stored.
"""
