"""Decodes by faster-whisper, one window after the other, with word times."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

from resources.audio.samples import release_pages
from resources.transcribe.checkpoint import CheckpointJournal
from resources.transcribe.decoder import MAX_GAP_S, Decoding, Recording, temperature_ladder
from resources.transcribe.device import Placement
from resources.transcribe.language import detect_language
from resources.transcribe.loudness import amplify_quiet_speech
from resources.transcribe.speech_spans import Span
from resources.transcribe.transcriber import OnProgress
from resources.transcribe.words import WordClock, segments_with_words
from ytcaption.domain.transcripts.transcript import Segment

if TYPE_CHECKING:
    from faster_whisper import WhisperModel

_MAX_REGION_S = 600.0
"""Spectrograms are made for this much at once: 12 hours in one would take 15 GB."""


class SequentialDecoder:
    """faster-whisper's sequential mode, with word times.

    Measured (benchmarks/README.md): faster-whisper's own batched mode loses whole sentences at
    pauses; word times cost nothing and lower the error rate, because the next window starts after
    the last word.
    """

    engine = "faster-whisper"

    def adapt(self, placement: Placement) -> Placement:
        """See `Decoder.adapt`."""
        return placement

    def session(self) -> AbstractContextManager[None]:
        """See `Decoder.session`."""
        return nullcontext()

    def decode(
        self,
        model: "WhisperModel",
        recording: Recording,
        on_progress: OnProgress,
        journal: CheckpointJournal,
    ) -> Decoding:
        """See `Decoder.decode`."""
        activity = recording.activity
        regions = activity.regions(max_gap_s=MAX_GAP_S, max_region_s=_MAX_REGION_S)
        journal.resume(region.end_s for region in regions)
        language, probability = journal.language or detect_language(
            model, recording.waveform, activity, recording.options.language
        )
        journal.set_language(language, probability)
        remaining = [region for region in regions if region.end_s > journal.done_s]
        segments = _segments(model, recording, remaining, language, on_progress, journal)
        return Decoding(language, probability, segments)


def _segments(
    model: "WhisperModel",
    recording: Recording,
    regions: Sequence[Span],
    language: str,
    on_progress: OnProgress,
    journal: CheckpointJournal,
) -> Iterator[Segment]:
    """Yield the segments as they are decoded, with times from the start of the recording."""
    waveform, activity, options = recording.waveform, recording.activity, recording.options
    clock = WordClock(activity.duration_s, journal.clock_s)
    index = len(journal.segments)
    for region in regions:
        on_progress(max(region.start_s, clock.now_s), activity.duration_s)
        decoded, _ = model.transcribe(
            amplify_quiet_speech(waveform, region, activity.spans),
            language=language,
            task=options.task,
            beam_size=recording.beam_size,
            temperature=temperature_ladder(options.temperature),
            word_timestamps=True,
            initial_prompt=options.initial_prompt,
            hotwords=options.hotwords,
        )
        for segment in segments_with_words(decoded, region, clock, index):
            index += 1
            yield segment
            on_progress(clock.now_s, activity.duration_s)
        journal.mark_done(region.end_s, clock.now_s)
        release_pages(waveform)
