"""Transcripts in pure Python: the document (`transcript`), its rows in the lake (`lake_rows`,
`lake_schema`), its passages and clips, and its accuracy.

Nothing here reads or writes storage; pyarrow is imported where rows are built.
"""
