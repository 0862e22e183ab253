"""Embeddings of transcript passages, for search by meaning.

Public: `Embedder`, `embedder_of`, `is_installed` and `has_embeddings` (embedder.py), the model in
this process; `EmbeddingStore` and `forget_embeddings` (store.py), the vectors in Postgres;
`embed_transcript` and `embed_waiting` (backlog.py), which combine the two.

It must not know workers (the room `worker` provides an `Embedder` that uses them) or how searches
are ranked.
"""
