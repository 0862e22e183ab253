"""Speech recognition: samples in, a `Recognition` (segments and words with times) out.

Public: `Transcriber`, `OnProgress`, `OnSegment` and `EngineInfo` (transcriber.py), the interface
that assets and workers use; `WhisperTranscriber` (whisper_transcriber.py), its implementation in
this process, with a decoding strategy (`SequentialDecoder` or `BatchedDecoder`, setting
`YTCAPTION_ENGINE`); `Checkpoint` and `Part` (checkpoint.py), from which an interrupted attempt
resumes; `gpu_count` (device.py).

The order of work: detect speech (speech_detector, speech_spans), load the model (device), decode
(sequential_decoder, or batched_decoder with speech_windows, batch_engine, batch_queue and
window_decoder), drop hallucinations (hallucination_filter).

It must not know Dagster assets, the database, the object store or workers in other processes.
"""
