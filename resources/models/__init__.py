"""Whisper weights: which exist, where to fetch them, and those on this machine.

Public: `ensure_model`, `model_states`, `ModelFiles` and `ModelState` (store.py); `MODELS`
(catalog.py), the table of known models with their hashes. sources.py has the types of that table,
fetch.py downloads from one source.

It must not know how weights are loaded or used.
"""
