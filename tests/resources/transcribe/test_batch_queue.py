"""Jobs of all callers are grouped by length, without long waits, and errors are handled."""

import threading
import time
from dataclasses import replace
from queue import SimpleQueue

import numpy as np
import pytest

from resources.transcribe.batch_queue import CALLERS, BatchQueue, BatchShape
from resources.transcribe.window_job import DecodingOptions, DecodingResult, WindowJob
from tests.support.patience import patience

OPTIONS = DecodingOptions("en", "transcribe", 5, (0.0,))
GOOD = DecodingResult([1], -0.1, 0.0, 1.0, 0.0, is_capped=False)


def job(frames: int, finished: SimpleQueue | None = None) -> WindowJob:
    mel = np.zeros((80, frames), np.float32)
    return WindowJob(mel, frames, OPTIONS, finished or SimpleQueue())


class Decoder:
    """Records the groups it is given; waits until `may_go_on` is set."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        self.may_go_on = threading.Event()
        self.may_go_on.set()
        self.errors: list[Exception] = []

    def __call__(self, jobs) -> None:
        self.groups.append([each.frames for each in jobs])
        self.may_go_on.wait(10)
        if self.errors:
            raise self.errors.pop(0)
        for each in jobs:
            each.add(GOOD, [])


@pytest.fixture
def decoder() -> Decoder:
    return Decoder()


def queue_of(decoder: Decoder, **shape) -> BatchQueue:
    values = {"workers": 1, "decode_batch": 4, "encode_batch": 1, "wait_s": 0.05} | shape
    return BatchQueue(decoder, lambda each: (each.options,), BatchShape(**values))


def collect(finished: SimpleQueue, count: int) -> list[WindowJob]:
    return [finished.get(timeout=10) for _ in range(count)]


def test_jobs_of_similar_length_are_grouped(decoder):
    """A window of three seconds is not padded to the length of one of twenty."""
    finished: SimpleQueue[WindowJob] = SimpleQueue()
    lengths = [300, 2000, 320, 1900, 310, 2100]
    queue_of(decoder).put([job(each, finished) for each in lengths])
    collect(finished, 6)
    assert sorted(map(sorted, decoder.groups)) == [[300, 310, 320], [1900, 2000, 2100]]


def test_callers_share_a_group(decoder):
    """One window each of four threads, while another thread prepares, is one group, not four."""
    queue = queue_of(decoder, wait_s=5.0)
    finished: SimpleQueue[WindowJob] = SimpleQueue()
    CALLERS.enter()
    try:
        threads = [threading.Thread(target=queue.put, args=([job(500, finished)],)) for _ in "1234"]
        for thread in threads:
            thread.start()
        collect(finished, 4)
    finally:
        CALLERS.leave()
    assert decoder.groups == [[500] * 4]


def test_jobs_wait_no_longer_than_set(decoder):
    """A caller that prepares for ever does not delay others."""
    finished: SimpleQueue[WindowJob] = SimpleQueue()
    CALLERS.enter()
    try:
        began = time.monotonic()
        queue_of(decoder, wait_s=0.3).put([job(500, finished)])
        collect(finished, 1)
        assert 0.25 < time.monotonic() - began < 5 * patience()
    finally:
        CALLERS.leave()


def test_jobs_do_not_wait_without_other_callers(decoder):
    """A single caller's single window is decoded at once."""
    finished: SimpleQueue[WindowJob] = SimpleQueue()
    began = time.monotonic()
    queue_of(decoder, wait_s=30.0).put([job(500, finished)])
    collect(finished, 1)
    assert time.monotonic() - began < 10 * patience()


def test_out_of_memory_halves_the_group(decoder):
    """No window is lost: half as many are decoded at once, from then on."""
    decoder.errors = [RuntimeError("CUDA failed with error out of memory")]
    finished: SimpleQueue[WindowJob] = SimpleQueue()
    queue_of(decoder).put([job(500, finished) for _ in range(4)])
    done = collect(finished, 4)
    assert [len(group) for group in decoder.groups] == [4, 2, 2]
    assert all(each.error is None for each in done)


def test_other_errors_reach_their_callers(decoder):
    """The group's jobs have the error, and the next group is decoded."""
    error = ValueError("broken")
    decoder.errors = [error]
    finished: SimpleQueue[WindowJob] = SimpleQueue()
    queue = queue_of(decoder)
    queue.put([job(500, finished)])
    assert collect(finished, 1)[0].error is error
    queue.put([job(500, finished)])
    assert collect(finished, 1)[0].error is None


def test_canceled_jobs_are_not_decoded(decoder):
    """A waiting job that its caller canceled is dropped."""
    decoder.may_go_on.clear()
    finished: SimpleQueue[WindowJob] = SimpleQueue()
    queue = queue_of(decoder)
    queue.put([job(500, finished)])
    while not decoder.groups:
        time.sleep(0.01)
    canceled = job(600, finished)
    queue.put([canceled, job(500, finished)])
    canceled.is_canceled = True
    decoder.may_go_on.set()
    collect(finished, 2)
    assert decoder.groups == [[500], [500]]


def test_doubtful_jobs_are_tried_again_at_the_next_temperature():
    """In a full window first, then at higher temperatures, until the text is good; if none is, the
    most likely text is used."""
    options = DecodingOptions("en", "transcribe", 5, (0.0, 0.2))
    each = WindowJob(np.zeros((80, 500), np.float32), 600, options, SimpleQueue())
    seen = []
    for logprob in (-2.0, -1.5, -1.8):
        seen.append((each.next_frames, each.temperature))
        each.add(DecodingResult([1], logprob, 0.0, 1.0, each.temperature, is_capped=False), [])
    assert seen == [(600, 0.0), (3000, 0.0), (3000, 0.2)]
    assert each.is_finished
    assert each.best_try()[0].avg_logprob == -1.5


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, False),
        ({"is_capped": True}, True),
        ({"is_repeated": True}, True),
        ({"is_repeated": True, "temperature": 0.2}, False),
        ({"compression_ratio": 2.5}, True),
        ({"avg_logprob": -1.1}, True),
        ({"avg_logprob": -1.1, "no_speech_prob": 0.7}, False),
    ],
)
def test_doubtful_results(change, expected):
    """faster-whisper's thresholds apply, and the two signs of a window that was too short."""
    assert replace(GOOD, **change).is_doubtful is expected
