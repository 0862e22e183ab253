"""One recording on its way through the engine: its windows in, its segments out, in order."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain, islice
from queue import Empty, SimpleQueue

import numpy as np

from resources.audio.samples import give_back
from resources.transcribe.batch_queue import CALLERS
from resources.transcribe.checkpoint_journal import Journal
from resources.transcribe.engine import Engine
from resources.transcribe.language import spread, vote
from resources.transcribe.loudness import levelled
from resources.transcribe.sequential import MAX_GAP_S
from resources.transcribe.speech_spans import SAMPLE_RATE_HZ, Span, SpeechActivity
from resources.transcribe.speech_windows import windows
from resources.transcribe.transcriber import OnProgress
from resources.transcribe.window_job import FRAMES_PER_S, FULL_FRAMES, Asked, Job
from resources.transcribe.words import WordClock, segments_with_words
from ytcaption.domain.transcripts.transcript import Segment

_MAX_REGION_S = 300.0
"""Audio is levelled and cut this much at once."""

_MAX_PENDING = 64
"""Windows of one recording that wait or are decoded: bounds its spectrograms to 60 MB."""

_LEFT_S = 0.7
"""With this much speech behind its last word, a window is decoded again from there."""

_LEAST_S = 0.5
"""A window that gave less than this is not gone on with: it would go on for ever."""

_HEARTBEAT_S = 0.5


@dataclass(frozen=True, eq=False)
class _Window:
    """Audio to be decoded.

    Attributes:
        span: on the clock of the media.
        samples: float32, shape (n_samples,).
    """

    span: Span
    samples: np.ndarray


@dataclass(eq=False)
class _PendingWindow:
    """A window that was handed in.

    Attributes:
        is_seen: its end was noticed, and what it left unsaid was handed in.
    """

    window: _Window
    job: Job
    is_seen: bool = False


class RecordingDecoder:
    """Decodes one waveform by an engine that others use at the same time."""

    def __init__(
        self,
        engine: Engine,
        waveform: np.ndarray,
        activity: SpeechActivity,
        asked: Asked,
        on_progress: OnProgress,
        journal: Journal,
    ) -> None:
        """Nothing is decoded yet.

        Args:
            waveform: float32, shape (n_samples,), mono, 16 kHz.
            asked: its language may be None.
            journal: what it has is not decoded again.
        """
        self._engine = engine
        self._activity = activity
        self._asked = asked
        self._on_progress = on_progress
        self._journal = journal
        self._regions = activity.regions(max_gap_s=MAX_GAP_S, max_region_s=_MAX_REGION_S)
        journal.go_on(self._ends_s(journal.done_s))
        self._clock = WordClock(activity.duration_s, journal.clock_s)
        self._done_s = 0.0
        self._ahead = self._windows(waveform)
        self._pending_windows: deque[_PendingWindow] = deque()
        self._finished: SimpleQueue[Job] = SimpleQueue()

    def language(self) -> tuple[str, float]:
        """Whisper's code and its probability, 0 to 1. A single window is decoded in the language
        that it is heard in; of more, the first ones decide."""
        if self._asked.language is not None:
            return self._asked.language, 1.0
        if self._journal.language is not None:
            self._asked = replace(self._asked, language=self._journal.language[0])
            return self._journal.language
        first = list(islice(self._ahead, _MAX_PENDING))
        self._ahead = chain(first, self._ahead)
        if len(first) == 1:
            self._fill()
            job = self._wait(self._pending_windows[0])
            return job.language or "en", job.language_probability
        batch = self._engine.batch
        heard = (batch.languages([batch.mel(each.samples)])[0] for each in spread(first))
        language, probability = vote(heard)
        self._asked = replace(self._asked, language=language)
        return language, probability

    def segments(self) -> Iterator[Segment]:
        """All that is decoded, in order, as soon as all before it is known."""
        number = len(self._journal.segments)
        try:
            self._fill()
            while self._pending_windows:
                job = self._wait(self._pending_windows[0])
                window = self._pending_windows.popleft().window
                self._fill()
                if job.error is not None:
                    raise job.error
                _, found = job.result()
                for segment in segments_with_words(found, window.span, self._clock, number):
                    number += 1
                    yield segment
                self._tell(window.span.end_s)
                pending = self._pending_windows
                if not pending or pending[0].window.span.start_s >= window.span.end_s:
                    self._journal.done(window.span.end_s, self._clock.now_s)
        finally:
            for window in self._pending_windows:
                window.job.is_canceled = True

    def _fill(self) -> None:
        """Hands in as many windows as may be in flight."""
        new = list(islice(self._ahead, max(0, _MAX_PENDING - len(self._pending_windows))))
        flying = [_PendingWindow(each, self._job(each)) for each in new]
        self._pending_windows.extend(flying)
        self._engine.queue.put([each.job for each in flying])
        CALLERS.leave()

    def _wait(self, flying: "_PendingWindow") -> Job:
        """Until this one is done. What others left unsaid is handed in meanwhile."""
        while not flying.job.is_finished or not flying.is_seen:
            try:
                job = self._finished.get(timeout=_HEARTBEAT_S)
            except Empty:
                self._tell(self._clock.now_s)
                continue
            self._resume(
                next(at for at, each in enumerate(self._pending_windows) if each.job is job)
            )
        return flying.job

    def _resume(self, at: int) -> None:
        """Where much speech follows the last word of a window, the rest becomes a window."""
        flying = self._pending_windows[at]
        flying.is_seen = True
        if flying.job.error is not None:
            return
        _, found = flying.job.result()
        end_s = max((word.end for segment in found for word in segment.words or ()), default=0.0)
        if end_s < _LEAST_S:
            return
        span = flying.window.span
        left = Span(span.start_s + end_s, span.end_s)
        if self._activity.share(left.start_s, left.end_s) * left.duration_s < _LEFT_S:
            return
        samples = flying.window.samples[int(end_s * SAMPLE_RATE_HZ) :]
        window = _Window(left, samples)
        rest = _PendingWindow(window, self._job(window))
        self._pending_windows.insert(at + 1, rest)
        self._engine.queue.put([rest.job])

    def _job(self, window: "_Window") -> Job:
        mel = self._engine.batch.mel(window.samples)
        padded = int(self._engine.costs.encoded_s(mel.shape[1] / FRAMES_PER_S) * FRAMES_PER_S)
        return Job(mel, min(FULL_FRAMES, padded), self._asked, self._finished)

    def _windows(self, waveform: np.ndarray) -> "Iterator[_Window]":
        for region in self._regions:
            if region.end_s <= self._journal.done_s:
                continue
            give_back(waveform)
            samples = levelled(waveform, region, self._activity.spans)
            for span in windows(self._activity, region, self._engine.costs):
                if span.end_s <= self._journal.done_s:
                    continue
                first = int((span.start_s - region.start_s) * SAMPLE_RATE_HZ)
                end = int((span.end_s - region.start_s) * SAMPLE_RATE_HZ)
                yield _Window(span, samples[first:end])

    def _ends_s(self, within_s: float) -> list[float]:
        """Where windows end, in the region that holds this moment."""
        return [
            span.end_s
            for region in self._regions
            if region.start_s < within_s <= region.end_s
            for span in windows(self._activity, region, self._engine.costs)
        ]

    def _tell(self, done_s: float) -> None:
        self._done_s = max(done_s, self._done_s)
        self._on_progress(self._done_s, self._activity.duration_s)
