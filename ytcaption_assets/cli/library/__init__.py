"""Commands that read and write the library of transcripts.

`search`, `sql`, `lake`, `export`, `report`, `embed` and `retranscribe`; each module has one
command, which `cli.main` registers. The room parses options and prints results; it must not know
how the lake, the search index or the embeddings are stored.
"""
