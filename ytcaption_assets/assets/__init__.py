"""Assets, one file each, named like the asset.

A transcription is made by `audio_download`, `transcription`, `transcript_parquet` and
`transcript_embeddings`; `channel_listing` lists a channel; `lake_maintenance` and `library_report`
serve the library. Assets do not import each other: what they share is in `caption_transcript`,
`caption_accuracy`, `metadata` and `transcription_checks`. They read and write through `resources`.
"""
