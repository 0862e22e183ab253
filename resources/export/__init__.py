"""Exports: the library, or a part of it, as files in a folder, updated incrementally.

`service.export` writes selected transcriptions with an exporter: `captions`, `dataset` (clips for
training) or `parquet`. `folder.ExportFolder` keeps the index; `selection` chooses. This room reads
Postgres, the object store and the lake, and knows nothing of HTTP or the command line.
"""
