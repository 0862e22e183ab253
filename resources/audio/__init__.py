"""Audio decoding: media files of any container to mono samples, in a process that can be killed.

Public: `AudioDecoder` with `probe` and `decode` (decoder.py), `map_samples`, `release_pages` and
`mapped_path` for samples in a file, and `SAMPLE_RATE_HZ` (samples.py), `waveform_png`
(waveform.py). decoder_child.py is the program that opens the untrusted file; it imports nothing of
ytcaption.

It must not know transcription, transcripts or the database.
"""
