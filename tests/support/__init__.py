"""Data, fakes and processes that tests of several rooms share; fixtures are in `tests/conftest.py`.

- Audio and models: `media_files`, `media_content`, `clip_errors`, `model_home`.
- Transcripts, and libraries of them: `transcripts`, `library`, `exported`.
- The lake: `lake_documents`, `lake_rows`, `lake_truth`.
- Channels: `channel_feeds`, `channel_lists`.
- Postgres: `rows`, `clock`, `transcription_events`, `catalog` (schemas compared); one that hangs:
  `frozen`; databases of older versions: `old_schemas`.
- Dagster: `code_location`, `instigators`, its web app `dagster_page`; runs without audio:
  `finisher`; runs that hang: `hanging`.
- Processes that end with a test: `forked`; one with very many open files: `descriptors`.
- Workers and embedders: `workers`, `embedding`, `embedding_child`.
- The command line and whole installations: `preloaded_command`, `reader`, `old_home`,
  `previous_version`.
- This repository: `paths`, `history` (git's), `documents` (the examples of `docs/`), `words`,
  `trust` (the map of rules), `vulnerabilities` (of pinned packages), and mutation testing:
  `mutation_testing`, `mutation_scores`.
- Time limits on a busy machine: `patience`; a clock that is set: `fake_clock`, with a
  `sitecustomize` in `fake_clock_site/`.
- `servers/`: servers on loopback.
- `internet/`: a `sitecustomize` that leads public host names of started processes to loopback.

A helper that only one room needs is beside its tests. No module here imports a test.
"""
