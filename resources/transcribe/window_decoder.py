"""Decodes groups of speech windows into text and word times, each group in one pass of the model.

The decoder writes no timestamps: they cost a sixth of its time, and the words get their times from
the alignment anyway.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from resources.transcribe.hallucination_filter import has_repeated_phrase, words_without_repeats
from resources.transcribe.window_job import FRAMES_PER_S, FULL_FRAMES, DecodingResult, WindowJob

if TYPE_CHECKING:
    import ctranslate2
    from faster_whisper import WhisperModel
    from faster_whisper.tokenizer import Tokenizer
    from faster_whisper.transcribe import Segment

_MAX_TOKENS_PER_S = 14
"""More than anybody speaks. Without a limit one loop cost 20 s."""

_EXTRA_TOKENS = 24
_ATTENDED_SILENCE_FRAMES = 50
"""Frames of the silence after a window that the decoder sees: its attention reads all of it at each
step, which takes a third of its time."""

_BEST_OF = 5
_PREPENDED = "\"'“¿([{-"
_APPENDED = "\"'.。,，!！?？:：”)]}、"
_SENTENCE_ENDS = (".", "?", "!", "。", "？", "！")


class WindowDecoder:
    """Encodes and decodes window jobs with one loaded model."""

    def __init__(self, model: "WhisperModel", encode_batch: int = 1) -> None:
        """Create the decoder of one model.

        Args:
            encode_batch: windows that the encoder takes at once. On a CPU each additional window
                makes all of them slower.
        """
        self.model = model
        self.encode_batch = encode_batch
        self._tokenizers: dict[tuple[str, str], Tokenizer] = {}

    def mel(self, samples: np.ndarray) -> np.ndarray:
        """Return the spectrogram of a window: float32, shape (n_mels, n_frames)."""
        mel = self.model.feature_extractor(samples)[..., :-1]
        return np.ascontiguousarray(mel[:, :FULL_FRAMES], np.float32)

    def batch_key(self, job: WindowJob) -> tuple[Any, ...]:
        """Return a key that is equal for jobs that can be decoded together."""
        if job.language is None:
            return (None,)
        return len(self._prompt(job)), job.options.beam_size, job.temperature, len(job.tries) > 0

    def languages(self, mels: Sequence[np.ndarray]) -> list[dict[str, float]]:
        """Return the probability of each language, for each spectrogram."""
        frames = max(mel.shape[1] for mel in mels)
        return self._detect_languages(self._encode(mels, min(FULL_FRAMES, frames + FRAMES_PER_S)))

    def decode(self, jobs: Sequence[WindowJob]) -> None:
        """Do the next step of each job: detect its language, or make a try.

        Args:
            jobs: with equal batch keys.
        """
        for at in range(0, len(jobs), self.encode_batch):
            self._encode_jobs(jobs[at : at + self.encode_batch])
        if jobs[0].language is None:
            self._set_languages(jobs)
            return
        encoded = _joined(jobs)
        results = self._generate(jobs, encoded)
        segments = self._segments(jobs, results, encoded)
        for job, result, job_segments in zip(jobs, results, segments, strict=True):
            job.add(result, job_segments)

    def _encode_jobs(self, jobs: Sequence[WindowJob]) -> None:
        """Encode those that are not encoded yet, together."""
        jobs = [job for job in jobs if job.encoded is None]
        if not jobs:
            return
        encoded = self._encode([job.mel for job in jobs], max(job.next_frames for job in jobs))
        for job, job_encoded in zip(jobs, encoded, strict=True):
            job.encoded = job_encoded[: job.next_frames // 2]

    def _encode(self, mels: Sequence[np.ndarray], frames: int) -> np.ndarray:
        """Return the encoder's output: float32, shape (len(mels), frames / 2, width)."""
        padded = np.zeros((len(mels), mels[0].shape[0], frames + frames % 2), np.float32)
        for row, mel in zip(padded, mels, strict=True):
            row[:, : mel.shape[1]] = mel[:, :frames]
        return np.array(self.model.model.encode(_storage(padded), True))

    def _set_languages(self, jobs: Sequence[WindowJob]) -> None:
        for job, detected in zip(jobs, self._detect_languages(_joined(jobs)), strict=True):
            job.language, job.language_probability = max(detected.items(), key=lambda item: item[1])

    def _detect_languages(self, encoded: np.ndarray) -> list[dict[str, float]]:
        if not self.model.model.is_multilingual:
            return [{"en": 1.0}] * len(encoded)
        detected = self.model.model.detect_language(_storage(encoded))
        return [{token[2:-2]: probability for token, probability in each} for each in detected]

    def _generate(self, jobs: Sequence[WindowJob], encoded: np.ndarray) -> list[DecodingResult]:
        temperature = jobs[0].temperature
        prompts = [self._prompt(job) for job in jobs]
        search = (
            {"beam_size": jobs[0].options.beam_size}
            if temperature == 0
            else {
                "beam_size": 1,
                "num_hypotheses": _BEST_OF,
                "sampling_topk": 0,
                "sampling_temperature": temperature,
            }
        )
        caps = [self._max_tokens(job) for job in jobs]
        generated = self.model.model.generate(
            _storage(encoded),
            prompts,
            max_length=min(self.model.max_length, max(caps) + len(prompts[0])),
            suppress_tokens=self._suppressed,
            return_scores=True,
            return_no_speech_prob=True,
            **search,
        )
        return [
            self._result(job, each, cap)
            for job, each, cap in zip(jobs, generated, caps, strict=True)
        ]

    def _max_tokens(self, job: WindowJob) -> int:
        """Return how many tokens the speech of a window may have; the model's limit in a full
        one."""
        if job.tries:
            return self.model.max_length
        return int(job.duration_s * _MAX_TOKENS_PER_S) + _EXTRA_TOKENS

    def _result(self, job: WindowJob, generated: Any, cap: int) -> DecodingResult:
        from faster_whisper.transcribe import get_compression_ratio

        written = generated.sequences_ids[0]
        tokenizer = self._tokenizer_of(job)
        tokens = written if job.tries else _without_repeats(tokenizer, written)
        text = tokenizer.decode(tokens).strip()
        return DecodingResult(
            tokens=tokens,
            avg_logprob=generated.scores[0] * len(written) / (len(written) + 1),
            no_speech_prob=generated.no_speech_prob,
            compression_ratio=get_compression_ratio(text) if text else 0.0,
            temperature=job.temperature,
            is_capped=len(tokens) >= cap,
            is_repeated=has_repeated_phrase(text),
        )

    def _segments(
        self, jobs: Sequence[WindowJob], results: Sequence[DecodingResult], encoded: np.ndarray
    ) -> "list[list[Segment]]":
        """Return for each job a segment per sentence, with words; times from the window's start."""
        parts = [
            [
                {"seek": 0, "start": 0.0, "end": job.duration_s, "tokens": tokens}
                for tokens in self._sentences(self._tokenizer_of(job), result.tokens)
            ]
            if not result.is_silence
            else []
            for job, result in zip(jobs, results, strict=True)
        ]
        by_tokenizer: dict[Tokenizer, list[int]] = {}
        for at, job in enumerate(jobs):
            if parts[at]:
                by_tokenizer.setdefault(self._tokenizer_of(job), []).append(at)
        for tokenizer, indexes in by_tokenizer.items():
            self.model.add_word_timestamps(
                cast(list[dict], [parts[at] for at in indexes]),  # a list of lists, as it is used
                tokenizer,
                _storage(encoded[indexes]),
                cast(int, [jobs[at].mel.shape[1] for at in indexes]),  # passed on to CTranslate2
                _PREPENDED,
                _APPENDED,
                0.0,
            )
        return [
            [
                _segment(self._tokenizer_of(job), number, part, result)
                for number, part in enumerate(job_parts)
            ]
            for job, result, job_parts in zip(jobs, results, parts, strict=True)
        ]

    def _sentences(self, tokenizer: "Tokenizer", tokens: list[int]) -> list[list[int]]:
        """Split tokens after each end of a sentence."""
        _, words = tokenizer.split_to_word_tokens([each for each in tokens if each < tokenizer.eot])
        sentences: list[list[int]] = [[]]
        for word in words:
            sentences[-1] += word
            if tokenizer.decode(word).rstrip().endswith(_SENTENCE_ENDS):
                sentences.append([])
        return [sentence for sentence in sentences if sentence]

    def _prompt(self, job: WindowJob) -> list[int]:
        tokenizer = self._tokenizer_of(job)
        prompt = job.options.initial_prompt
        before = tokenizer.encode(" " + prompt.strip()) if prompt else []
        return self.model.get_prompt(
            tokenizer, before, without_timestamps=True, hotwords=job.options.hotwords
        )

    def _tokenizer_of(self, job: WindowJob) -> "Tokenizer":
        return self.tokenizer(job.language or "en", job.options.task)

    def tokenizer(self, language: str, task: str) -> "Tokenizer":
        """Return the tokenizer of a language and task."""
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

        default = cast(tuple[int], (-1,))  # faster-whisper's own default, as its type says
        return list(get_suppressed_tokens(self.tokenizer("en", "transcribe"), default) or ())


def _without_repeats(tokenizer: "Tokenizer", tokens: list[int]) -> list[int]:
    """Return a phrase once that the decoder repeats because the window is too short for it.

    If the speaker did say it twice, speech follows the last word that is left, and that is decoded
    by itself (`BatchedDecoder`).
    """
    words, by_word = tokenizer.split_to_word_tokens(
        [each for each in tokens if each < tokenizer.eot]
    )
    count = words_without_repeats(words)
    return tokens if count == len(words) else [each for word in by_word[:count] for each in word]


def _segment(
    tokenizer: "Tokenizer", number: int, part: dict[str, Any], result: DecodingResult
) -> "Segment":
    from faster_whisper.transcribe import Segment, Word

    return Segment(
        id=number,
        seek=0,
        start=part["start"],
        end=part["end"],
        text=tokenizer.decode(part["tokens"]),
        tokens=part["tokens"],
        avg_logprob=result.avg_logprob,
        compression_ratio=result.compression_ratio,
        no_speech_prob=result.no_speech_prob,
        words=[Word(**word) for word in part["words"]],
        temperature=result.temperature,
    )


def _joined(jobs: Sequence[WindowJob]) -> np.ndarray:
    """Return the encoder outputs as float32, shape (n_jobs, n_positions of the longest, width)."""
    encoded = [job.encoded for job in jobs if job.encoded is not None]
    positions = max(_attended_positions(job) for job in jobs)
    return np.stack([_fit(each, positions) for each in encoded])


def _attended_positions(job: WindowJob) -> int:
    """Return the positions of a job that the decoder needs: its speech and a little silence."""
    if job.next_frames == FULL_FRAMES:
        return FULL_FRAMES // 2
    return min(job.next_frames, job.mel.shape[1] + _ATTENDED_SILENCE_FRAMES) // 2


def _fit(encoded: np.ndarray, positions: int) -> np.ndarray:
    """Cut to a number of positions, or extend by repeating the end, which is silence."""
    missing = positions - len(encoded)
    if missing <= 0:
        return encoded[:positions]
    end = encoded[-_ATTENDED_SILENCE_FRAMES // 2 :]
    return np.concatenate([encoded, np.tile(end, (-(-missing // len(end)), 1))[:missing]])


def _storage(values: np.ndarray) -> "ctranslate2.StorageView":
    import ctranslate2

    return ctranslate2.StorageView.from_array(np.ascontiguousarray(values, np.float32))
