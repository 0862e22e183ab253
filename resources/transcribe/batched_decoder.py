"""Decodes the speech windows of a recording in batches that all recordings share."""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain, islice
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

import numpy as np

from resources.audio.samples import SAMPLE_RATE_HZ, release_pages
from resources.transcribe.batch_engine import BatchEngine, batch_engine_of
from resources.transcribe.batch_queue import CALLERS
from resources.transcribe.checkpoint import CheckpointJournal
from resources.transcribe.decoder import MAX_GAP_S, Decoding, Recording, temperature_ladder
from resources.transcribe.device import Placement
from resources.transcribe.language import average_probabilities, spread
from resources.transcribe.loudness import amplify_quiet_speech
from resources.transcribe.speech_spans import Span
from resources.transcribe.speech_windows import speech_windows
from resources.transcribe.transcriber import OnProgress
from resources.transcribe.window_job import FRAMES_PER_S, FULL_FRAMES, DecodingOptions, WindowJob
from resources.transcribe.words import WordClock, segments_with_words
from ytcaption.domain.transcripts.transcript import Segment

if TYPE_CHECKING:
    from faster_whisper import WhisperModel

_MAX_REGION_S = 300.0
"""Quiet speech is amplified and audio is cut into windows this much at a time."""

_MAX_PENDING = 64
"""Windows of one recording that wait or are being decoded: limits its spectrograms to 60 MB."""

_MIN_REMAINING_SPEECH_S = 0.7
"""With this much speech after its last word, a window is decoded again from there."""

_MIN_DECODED_S = 0.5
"""A window whose words end before this is not continued: it could go on for ever."""

_HEARTBEAT_S = 0.5


class BatchedDecoder:
    """CTranslate2 without faster-whisper's loop: only speech is encoded, many windows at once.

    It uses the same weights, search, thresholds, filters and word times as `SequentialDecoder`,
    against which it is measured (docs/benchmarks/engine-design.md). It carries no text from one
    window to the next.
    """

    engine = "faster-whisper-batched"

    def adapt(self, placement: Placement) -> Placement:
        """Return one worker of one thread per core on a CPU: two threads in one window waste a
        third."""
        if placement.device == "cpu":
            return replace(placement, cpu_threads=1, workers=placement.cpu_threads)
        return placement

    @contextmanager
    def session(self) -> Iterator[None]:
        """Tell the batch queues that this thread is preparing windows."""
        CALLERS.enter()
        try:
            yield
        finally:
            CALLERS.leave()

    def decode(
        self,
        model: "WhisperModel",
        recording: Recording,
        on_progress: OnProgress,
        journal: CheckpointJournal,
    ) -> Decoding:
        """See `Decoder.decode`."""
        decoder = _RecordingDecoder(batch_engine_of(model), recording, on_progress, journal)
        language, probability = decoder.language()
        journal.set_language(language, probability)
        return Decoding(language, probability, decoder.segments())


@dataclass(frozen=True, eq=False)
class _Window:
    """Audio to decode.

    Attributes:
        span: from the start of the recording.
        samples: float32, shape (n_samples,).
    """

    span: Span
    samples: np.ndarray


@dataclass(eq=False)
class _PendingWindow:
    """A window in the batch queue.

    Attributes:
        is_seen: its end was noticed, and its undecoded remainder was queued.
    """

    window: _Window
    job: WindowJob
    is_seen: bool = False


class _RecordingDecoder:
    """Decodes one recording by an engine that other recordings use at the same time."""

    def __init__(
        self,
        engine: BatchEngine,
        recording: Recording,
        on_progress: OnProgress,
        journal: CheckpointJournal,
    ) -> None:
        options = recording.options
        self._engine = engine
        self._activity = recording.activity
        self._options = DecodingOptions(
            language=options.language,
            task=options.task,
            beam_size=recording.beam_size,
            temperatures=temperature_ladder(options.temperature),
            initial_prompt=options.initial_prompt,
            hotwords=options.hotwords,
        )
        self._on_progress = on_progress
        self._journal = journal
        self._regions = self._activity.regions(max_gap_s=MAX_GAP_S, max_region_s=_MAX_REGION_S)
        journal.resume(self._window_ends_s(journal.done_s))
        self._clock = WordClock(self._activity.duration_s, journal.clock_s)
        self._done_s = 0.0
        self._upcoming = self._windows(recording.waveform)
        self._pending: deque[_PendingWindow] = deque()
        self._finished: SimpleQueue[WindowJob] = SimpleQueue()

    def language(self) -> tuple[str, float]:
        """Return Whisper's code and its probability, 0 to 1.

        A single window is decoded in the language detected in it; of several, the first decide.
        """
        if self._options.language is not None:
            return self._options.language, 1.0
        if self._journal.language is not None:
            self._options = replace(self._options, language=self._journal.language[0])
            return self._journal.language
        first = list(islice(self._upcoming, _MAX_PENDING))
        self._upcoming = chain(first, self._upcoming)
        if len(first) == 1:
            self._fill()
            job = self._wait(self._pending[0])
            return job.language or "en", job.language_probability
        decoder = self._engine.decoder
        detected = (decoder.languages([decoder.mel(each.samples)])[0] for each in spread(first))
        language, probability = average_probabilities(detected)
        self._options = replace(self._options, language=language)
        return language, probability

    def segments(self) -> Iterator[Segment]:
        """Yield the segments in order, each as soon as all before it are decoded."""
        index = len(self._journal.segments)
        try:
            self._fill()
            while self._pending:
                job = self._wait(self._pending[0])
                window = self._pending.popleft().window
                self._fill()
                if job.error is not None:
                    raise job.error
                _, decoded = job.best_try()
                for segment in segments_with_words(decoded, window.span, self._clock, index):
                    index += 1
                    yield segment
                self._report(window.span.end_s)
                pending = self._pending
                if not pending or pending[0].window.span.start_s >= window.span.end_s:
                    self._journal.mark_done(window.span.end_s, self._clock.now_s)
        finally:
            for pending_window in self._pending:
                pending_window.job.is_canceled = True

    def _fill(self) -> None:
        """Queue upcoming windows until `_MAX_PENDING` are pending."""
        new = list(islice(self._upcoming, max(0, _MAX_PENDING - len(self._pending))))
        added = [_PendingWindow(window, self._job(window)) for window in new]
        self._pending.extend(added)
        self._engine.queue.put([each.job for each in added])
        CALLERS.leave()

    def _wait(self, pending: "_PendingWindow") -> WindowJob:
        """Wait until a window is decoded; meanwhile queue the remainders of others."""
        while not pending.job.is_finished or not pending.is_seen:
            try:
                job = self._finished.get(timeout=_HEARTBEAT_S)
            except Empty:
                self._report(self._clock.now_s)
                continue
            self._queue_remainder(
                next(at for at, each in enumerate(self._pending) if each.job is job)
            )
        return pending.job

    def _queue_remainder(self, at: int) -> None:
        """Queue the rest of a window if much speech follows its last word."""
        pending = self._pending[at]
        pending.is_seen = True
        if pending.job.error is not None:
            return
        _, decoded = pending.job.best_try()
        end_s = max((word.end for segment in decoded for word in segment.words or ()), default=0.0)
        if end_s < _MIN_DECODED_S:
            return
        span = pending.window.span
        rest = Span(span.start_s + end_s, span.end_s)
        speech_share = self._activity.speech_share(rest.start_s, rest.end_s)
        if speech_share * rest.duration_s < _MIN_REMAINING_SPEECH_S:
            return
        samples = pending.window.samples[int(end_s * SAMPLE_RATE_HZ) :]
        window = _Window(rest, samples)
        remainder = _PendingWindow(window, self._job(window))
        self._pending.insert(at + 1, remainder)
        self._engine.queue.put([remainder.job])

    def _job(self, window: "_Window") -> WindowJob:
        mel = self._engine.decoder.mel(window.samples)
        padded = int(self._engine.costs.encoded_s(mel.shape[1] / FRAMES_PER_S) * FRAMES_PER_S)
        return WindowJob(mel, min(FULL_FRAMES, padded), self._options, self._finished)

    def _windows(self, waveform: np.ndarray) -> "Iterator[_Window]":
        for region in self._regions:
            if region.end_s <= self._journal.done_s:
                continue
            release_pages(waveform)
            samples = amplify_quiet_speech(waveform, region, self._activity.spans)
            for span in speech_windows(self._activity, region, self._engine.costs):
                if span.end_s <= self._journal.done_s:
                    continue
                first = int((span.start_s - region.start_s) * SAMPLE_RATE_HZ)
                end = int((span.end_s - region.start_s) * SAMPLE_RATE_HZ)
                yield _Window(span, samples[first:end])

    def _window_ends_s(self, time_s: float) -> list[float]:
        """Return where the windows of the region that contains this time end."""
        return [
            span.end_s
            for region in self._regions
            if region.start_s < time_s <= region.end_s
            for span in speech_windows(self._activity, region, self._engine.costs)
        ]

    def _report(self, done_s: float) -> None:
        self._done_s = max(done_s, self._done_s)
        self._on_progress(self._done_s, self._activity.duration_s)
