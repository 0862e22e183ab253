"""Search over the text of all transcripts: by words, by meaning, or by both.

`service.Search` returns pages of media with their best segments; `scope` limits what a caller may
find; `keyword`, `semantic` and `hybrid` are retrievers of segments; `cost` estimates and bounds
their work; `highlights` marks the matches. This room reads Postgres and the embedding model, and
knows nothing of HTTP, the lake or how transcripts are made.
"""
