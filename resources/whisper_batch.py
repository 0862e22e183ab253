"""Windows of speech to text and times, many at once, in one pass.

The decoder writes no timestamps: they cost a sixth of its time, and the words have theirs from the
alignment anyhow.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from resources.speech_filter import is_doubled
from resources.whisper_job import FRAMES_PER_S, FULL_FRAMES, Decoded, Job

if TYPE_CHECKING:
    import ctranslate2
    from faster_whisper import WhisperModel
    from faster_whisper.tokenizer import Tokenizer
    from faster_whisper.transcribe import Segment

_TOKENS_PER_S = 14
"""More than anybody says. Without a bound one loop cost 20 s."""

_TOKENS_MORE = 24
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
        """Jobs with equal keys can be decoded together."""
        prefix = len(self._prompt(job, job.language or job.asked.language or "en"))
        return prefix, job.asked.beam_size, job.temperature, len(job.tries) > 0

    def languages(self, mels: Sequence[np.ndarray]) -> list[dict[str, float]]:
        """The probability of each language, by spectrogram."""
        frames = max(mel.shape[1] for mel in mels)
        return self._detect(self._encode(mels, min(FULL_FRAMES, frames + FRAMES_PER_S)))

    def decode(self, jobs: Sequence[Job]) -> None:
        """One try of each job. They have one key."""
        frames = max(job.next_frames for job in jobs)
        if all(job.encoded is not None for job in jobs):
            encoded = np.concatenate([job.encoded for job in jobs if job.encoded is not None])
        else:
            encoded = self._encode([job.mel for job in jobs], frames)
        self._name_languages(jobs, encoded)
        prompts = [self._prompt(job, job.language or "en") for job in jobs]
        found = self._generate(jobs, encoded, prompts)
        for at, (job, decoded) in enumerate(zip(jobs, found, strict=True)):
            mine = encoded[at : at + 1]
            segments = [] if decoded.is_silence else self._segments(job, decoded, mine)
            job.encoded = mine if frames == FULL_FRAMES else None
            job.add(decoded, segments)

    def _encode(self, mels: Sequence[np.ndarray], frames: int) -> np.ndarray:
        """float32, shape (n_mels_given, frames / 2, width)."""
        frames += frames % 2
        padded = np.zeros((len(mels), mels[0].shape[0], frames), np.float32)
        for row, mel in zip(padded, mels, strict=True):
            row[:, : mel.shape[1]] = mel[:, :frames]
        parts = [
            np.array(self.model.model.encode(_storage(padded[at : at + self.encode_batch]), True))
            for at in range(0, len(mels), self.encode_batch)
        ]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _name_languages(self, jobs: Sequence[Job], encoded: np.ndarray) -> None:
        unknown = []
        for at, job in enumerate(jobs):
            job.language = job.language or job.asked.language
            if job.language is None:
                unknown.append(at)
        if not unknown:
            return
        for at, found in zip(unknown, self._detect(encoded[unknown]), strict=True):
            jobs[at].language, jobs[at].language_probability = max(
                found.items(), key=lambda each: each[1]
            )

    def _detect(self, encoded: np.ndarray) -> list[dict[str, float]]:
        if not self.model.model.is_multilingual:
            return [{"en": 1.0}] * len(encoded)
        found = self.model.model.detect_language(_storage(encoded))
        return [{token[2:-2]: chance for token, chance in each} for each in found]

    def _generate(
        self, jobs: Sequence[Job], encoded: np.ndarray, prompts: list[list[int]]
    ) -> list[Decoded]:
        temperature = jobs[0].temperature
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
            self._decoded(each, cap, temperature) for each, cap in zip(found, caps, strict=True)
        ]

    def _cap(self, job: Job) -> int:
        """Tokens that the speech of a window may have; in the full window as many as there are."""
        if job.tries:
            return self.model.max_length
        return int(job.seconds * _TOKENS_PER_S) + _TOKENS_MORE

    def _decoded(self, result: Any, cap: int, temperature: float) -> Decoded:
        from faster_whisper.transcribe import get_compression_ratio

        tokens = result.sequences_ids[0]
        text = self.tokenizer("en", "transcribe").decode(tokens).strip()
        return Decoded(
            tokens=tokens,
            avg_logprob=result.scores[0] * len(tokens) / (len(tokens) + 1),
            no_speech_prob=result.no_speech_prob,
            compression_ratio=get_compression_ratio(text) if text else 0.0,
            temperature=temperature,
            is_capped=len(tokens) >= cap,
            is_repeated=is_doubled(text),
        )

    def _segments(self, job: Job, decoded: Decoded, encoded: np.ndarray) -> "list[Segment]":
        """A sentence each, with words; times from the window's start."""
        from faster_whisper.transcribe import Segment, Word

        tokenizer = self.tokenizer(job.language or "en", job.asked.task)
        frames = job.mel.shape[1]
        parts: list[dict[str, Any]] = [
            {"seek": 0, "start": 0.0, "end": job.seconds, "tokens": tokens}
            for tokens in self._sentences(tokenizer, decoded.tokens)
        ]
        if not parts:
            return []
        self.model.add_word_timestamps(
            cast(list[dict], [parts]),  # a list of lists, as it is used there
            tokenizer,
            _storage(encoded),
            frames,
            _PREPENDED,
            _APPENDED,
            0.0,
        )
        return [
            Segment(
                id=at,
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
            for at, part in enumerate(parts)
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

    def _prompt(self, job: Job, language: str) -> list[int]:
        tokenizer = self.tokenizer(language, job.asked.task)
        said = job.asked.initial_prompt
        before = tokenizer.encode(" " + said.strip()) if said else []
        return self.model.get_prompt(
            tokenizer, before, without_timestamps=True, hotwords=job.asked.hotwords
        )

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


def _storage(values: np.ndarray) -> "ctranslate2.StorageView":
    import ctranslate2

    return ctranslate2.StorageView.from_array(np.ascontiguousarray(values, np.float32))
