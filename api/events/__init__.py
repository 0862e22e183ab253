"""Server-sent events over HTTP: state, progress and text of a transcription as they change.

`stream.EventStream` derives events from the row and from what the reader has seen (`cursor`), so
any process can resume a stream. Public to `api.openai`: `sse.EventStreamResponse`.
"""
