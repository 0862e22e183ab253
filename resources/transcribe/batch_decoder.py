"""Windows of speech to text and times, many at once, in one pass.

The decoder writes no timestamps: they cost a sixth of its time, and the words have theirs from the
alignment anyhow.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from resources.transcribe.hallucination_filter import is_doubled, said_once
from resources.transcribe.window_job import FRAMES_PER_S, FULL_FRAMES, Decoded, Job

if TYPE_CHECKING:
    import ctranslate2
    from faster_whisper import WhisperModel
    from faster_whisper.tokenizer import Tokenizer
    from faster_whisper.transcribe import Segment

_TOKENS_PER_S = 14
"""More than anybody says. Without a bound one loop cost 20 s."""

_TOKENS_MORE = 24
_HEARD_FRAMES = 50
"""Of the silence behind a window, what the decoder hears: its attention reads all of it at each
step, which takes a third of its time."""
_BEST_OF = 5
_PREPENDED = "\"'“¿([{-"
_APPENDED = "\"'.。,，!！?？:：”)]}、"
_SENTENCE_ENDS = (".", "?", "!", "。", "？", "！")


class WhisperBatch:
    """What a loaded model does with a group of jobs."""

    def __init__(self, model: "WhisperModel", encode_batch: int = 1) -> None:
        """Of one model.

        Args:
            encode_batch: windows that the encoder takes at once. On a CPU each window more
                makes all of them slower.
        """
        self.model = model
        self.encode_batch = encode_batch
        self._tokenizers: dict[tuple[str, str], Tokenizer] = {}

    def mel(self, samples: np.ndarray) -> np.ndarray:
        """The spectrogram of a window: float32, shape (n_mels, n_frames)."""
        mel = self.model.feature_extractor(samples)[..., :-1]
        return np.ascontiguousarray(mel[:, :FULL_FRAMES], np.float32)

    def key(self, job: Job) -> tuple[Any, ...]:
        """Jobs with equal keys can be decoded together. The first three are as in the job."""
        if job.language is None:
            return (None,)
        return len(self._prompt(job)), job.asked.beam_size, job.temperature, len(job.tries) > 0

    def languages(self, mels: Sequence[np.ndarray]) -> list[dict[str, float]]:
        """The probability of each language, by spectrogram."""
        frames = max(mel.shape[1] for mel in mels)
        return self._detect(self._encode(mels, min(FULL_FRAMES, frames + FRAMES_PER_S)))

    def decode(self, jobs: Sequence[Job]) -> None:
        """The next step of each job: its language, or a try. They have one key."""
        for at in range(0, len(jobs), self.encode_batch):
            self._encode_some(jobs[at : at + self.encode_batch])
        if jobs[0].language is None:
            self._name_languages(jobs)
            return
        encoded = _joined(jobs)
        found = self._generate(jobs, encoded)
        for job, decoded, mine in zip(
            jobs, found, self._segments(jobs, found, encoded), strict=True
        ):
            job.add(decoded, mine)

    def _encode_some(self, jobs: Sequence[Job]) -> None:
        """Those that are not encoded yet, together."""
        jobs = [job for job in jobs if job.encoded is None]
        if not jobs:
            return
        encoded = self._encode([job.mel for job in jobs], max(job.next_frames for job in jobs))
        for job, mine in zip(jobs, encoded, strict=True):
            job.encoded = mine[: job.next_frames // 2]

    def _encode(self, mels: Sequence[np.ndarray], frames: int) -> np.ndarray:
        """float32, shape (n_mels_given, frames / 2, width)."""
        padded = np.zeros((len(mels), mels[0].shape[0], frames + frames % 2), np.float32)
        for row, mel in zip(padded, mels, strict=True):
            row[:, : mel.shape[1]] = mel[:, :frames]
        return np.array(self.model.model.encode(_storage(padded), True))

    def _name_languages(self, jobs: Sequence[Job]) -> None:
        for job, found in zip(jobs, self._detect(_joined(jobs)), strict=True):
            job.language, job.language_probability = max(found.items(), key=lambda each: each[1])

    def _detect(self, encoded: np.ndarray) -> list[dict[str, float]]:
        if not self.model.model.is_multilingual:
            return [{"en": 1.0}] * len(encoded)
        found = self.model.model.detect_language(_storage(encoded))
        return [{token[2:-2]: chance for token, chance in each} for each in found]

    def _generate(self, jobs: Sequence[Job], encoded: np.ndarray) -> list[Decoded]:
        temperature = jobs[0].temperature
        prompts = [self._prompt(job) for job in jobs]
        search = (
            {"beam_size": jobs[0].asked.beam_size}
            if temperature == 0
            else {
                "beam_size": 1,
                "num_hypotheses": _BEST_OF,
                "sampling_topk": 0,
                "sampling_temperature": temperature,
            }
        )
        caps = [self._cap(job) for job in jobs]
        found = self.model.model.generate(
            _storage(encoded),
            prompts,
            max_length=min(self.model.max_length, max(caps) + len(prompts[0])),
            suppress_tokens=self._suppressed,
            return_scores=True,
            return_no_speech_prob=True,
            **search,
        )
        return [
            self._decoded(job, each, cap) for job, each, cap in zip(jobs, found, caps, strict=True)
        ]

    def _cap(self, job: Job) -> int:
        """Tokens that the speech of a window may have; in the full window as many as there are."""
        if job.tries:
            return self.model.max_length
        return int(job.seconds * _TOKENS_PER_S) + _TOKENS_MORE

    def _decoded(self, job: Job, result: Any, cap: int) -> Decoded:
        from faster_whisper.transcribe import get_compression_ratio

        written = result.sequences_ids[0]
        tokenizer = self._tokenizer_of(job)
        tokens = written if job.tries else _once(tokenizer, written)
        text = tokenizer.decode(tokens).strip()
        return Decoded(
            tokens=tokens,
            avg_logprob=result.scores[0] * len(written) / (len(written) + 1),
            no_speech_prob=result.no_speech_prob,
            compression_ratio=get_compression_ratio(text) if text else 0.0,
            temperature=job.temperature,
            is_capped=len(tokens) >= cap,
            is_repeated=is_doubled(text),
        )

    def _segments(
        self, jobs: Sequence[Job], found: Sequence[Decoded], encoded: np.ndarray
    ) -> "list[list[Segment]]":
        """For each job a sentence each, with words; times from the window's start."""
        parts = [
            [
                {"seek": 0, "start": 0.0, "end": job.seconds, "tokens": tokens}
                for tokens in self._sentences(self._tokenizer_of(job), decoded.tokens)
            ]
            if not decoded.is_silence
            else []
            for job, decoded in zip(jobs, found, strict=True)
        ]
        spoken: dict[Tokenizer, list[int]] = {}
        for at, job in enumerate(jobs):
            if parts[at]:
                spoken.setdefault(self._tokenizer_of(job), []).append(at)
        for tokenizer, some in spoken.items():
            self.model.add_word_timestamps(
                cast(list[dict], [parts[at] for at in some]),  # a list of lists, as it is used
                tokenizer,
                _storage(encoded[some]),
                cast(int, [jobs[at].mel.shape[1] for at in some]),  # passed on to CTranslate2
                _PREPENDED,
                _APPENDED,
                0.0,
            )
        return [
            [
                _segment(self._tokenizer_of(job), number, part, decoded)
                for number, part in enumerate(mine)
            ]
            for job, decoded, mine in zip(jobs, found, parts, strict=True)
        ]

    def _sentences(self, tokenizer: "Tokenizer", tokens: list[int]) -> list[list[int]]:
        """Tokens, cut behind what ends a sentence."""
        _, words = tokenizer.split_to_word_tokens([each for each in tokens if each < tokenizer.eot])
        sentences: list[list[int]] = [[]]
        for word in words:
            sentences[-1] += word
            if tokenizer.decode(word).rstrip().endswith(_SENTENCE_ENDS):
                sentences.append([])
        return [each for each in sentences if each]

    def _prompt(self, job: Job) -> list[int]:
        tokenizer = self._tokenizer_of(job)
        said = job.asked.initial_prompt
        before = tokenizer.encode(" " + said.strip()) if said else []
        return self.model.get_prompt(
            tokenizer, before, without_timestamps=True, hotwords=job.asked.hotwords
        )

    def _tokenizer_of(self, job: Job) -> "Tokenizer":
        return self.tokenizer(job.language or "en", job.asked.task)

    def tokenizer(self, language: str, task: str) -> "Tokenizer":
        """Of a language and task."""
        from faster_whisper.tokenizer import Tokenizer

        key = (language, task)
        if key not in self._tokenizers:
            multilingual = self.model.model.is_multilingual
            self._tokenizers[key] = Tokenizer(
                self.model.hf_tokenizer, multilingual, task=task, language=language
            )
        return self._tokenizers[key]

    @cached_property
    def _suppressed(self) -> list[int]:
        from faster_whisper.transcribe import get_suppressed_tokens

        everywhere = cast(tuple[int], (-1,))  # faster-whisper's own default, as its type says
        return list(get_suppressed_tokens(self.tokenizer("en", "transcribe"), everywhere) or ())


def _once(tokenizer: "Tokenizer", tokens: list[int]) -> list[int]:
    """What a window that is short for the decoder says twice is kept once: where somebody did say
    it twice, speech follows the last word that is left, and is decoded by itself
    (`RecordingDecoder`)."""
    words, by_word = tokenizer.split_to_word_tokens(
        [each for each in tokens if each < tokenizer.eot]
    )
    kept = said_once(words)
    return tokens if kept == len(words) else [each for word in by_word[:kept] for each in word]


def _segment(
    tokenizer: "Tokenizer", number: int, part: dict[str, Any], decoded: Decoded
) -> "Segment":
    from faster_whisper.transcribe import Segment, Word

    return Segment(
        id=number,
        seek=0,
        start=part["start"],
        end=part["end"],
        text=tokenizer.decode(part["tokens"]),
        tokens=part["tokens"],
        avg_logprob=decoded.avg_logprob,
        compression_ratio=decoded.compression_ratio,
        no_speech_prob=decoded.no_speech_prob,
        words=[Word(**word) for word in part["words"]],
        temperature=decoded.temperature,
    )


def _joined(jobs: Sequence[Job]) -> np.ndarray:
    """What was made of each: float32, shape (n_jobs, n_positions of the longest, width)."""
    parts = [job.encoded for job in jobs if job.encoded is not None]
    positions = max(_heard(job) for job in jobs)
    return np.stack([_held(part, positions) for part in parts])


def _heard(job: Job) -> int:
    """Positions of a job's own: its speech, and a little silence."""
    if job.next_frames == FULL_FRAMES:
        return FULL_FRAMES // 2
    return min(job.next_frames, job.mel.shape[1] + _HEARD_FRAMES) // 2


def _held(encoded: np.ndarray, positions: int) -> np.ndarray:
    """As long as this: its end, silence, is repeated."""
    missing = positions - len(encoded)
    if missing <= 0:
        return encoded[:positions]
    end = encoded[-_HEARD_FRAMES // 2 :]
    return np.concatenate([encoded, np.tile(end, (-(-missing // len(end)), 1))[:missing]])


def _storage(values: np.ndarray) -> "ctranslate2.StorageView":
    import ctranslate2

    return ctranslate2.StorageView.from_array(np.ascontiguousarray(values, np.float32))
