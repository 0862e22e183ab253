"""Speech with its text, cut into clips, for those who train models: LJSpeech's and Hugging Face's
folders of WAV files with a list of them."""

import hashlib
import io
import json
import wave
from collections.abc import Iterator
from typing import Any, Literal

import numpy as np

from resources.audio.decoder import AudioDecoder
from resources.audio.samples import release_pages
from resources.export.captions import described
from resources.export.folder import ExportFolder
from resources.export.selection import Chosen
from resources.object_store.store import ObjectStore
from ytcaption.domain.transcripts.clips import Clip, clips
from ytcaption.domain.transcripts.transcript import Transcript
from ytcaption.settings import Settings

DatasetKind = Literal["ljspeech", "audiofolder"]

RATES: dict[DatasetKind, int] = {"ljspeech": 22_050, "audiofolder": 16_000}
"""Samples a second that those who read such folders expect."""


class DatasetExport:
    """One transcription at a time; the list is made of the index, at the end."""

    def __init__(
        self,
        settings: Settings,
        kind: DatasetKind,
        *,
        min_s: float,
        max_s: float,
        sample_rate_hz: int | None = None,
    ) -> None:
        """
        Args:
            min_s, max_s: length of a clip.
            sample_rate_hz: of the WAV files; None: that of `RATES`.
        """
        self._kind = kind
        self._min_s, self._max_s = min_s, max_s
        self._rate = sample_rate_hz or RATES[kind]
        self._objects = ObjectStore.from_settings(settings)
        self._decoder = AudioDecoder.from_settings(settings)
        self.form = f"{kind} {self._rate} Hz, {min_s:g} to {max_s:g} s"

    def what_is_missing(self, one: Chosen) -> str | None:
        """Why it cannot be exported."""
        if one.audio_key is None:
            return "Its audio is not kept."
        return None

    def export(self, one: Chosen, folder: ExportFolder) -> None:
        """Its clips.

        Raises:
            StorageError, AudioError: document or audio cannot be read.
            and as `ExportFolder.write`.
        """
        assert one.audio_key is not None
        data = self._objects.read_bytes(one.document_key, one.document_sha256)
        transcript = Transcript.from_json(data)
        wanted = clips(transcript, min_s=self._min_s, max_s=self._max_s)
        made = []
        if wanted:
            with self._objects.local_file(one.audio_key, one.audio_sha256) as path:
                samples = self._decoder.decode(path, sample_rate_hz=self._rate)
            for number, clip in enumerate(wanted, 1):
                part = samples[int(clip.start_s * self._rate) : int(clip.end_s * self._rate)]
                # Times may reach beyond the end of the audio.
                if len(part) < self._min_s * self._rate:
                    continue
                name = f"{self._folder}/{_name(one)}-{number:05}.wav"
                folder.write(name, wav_bytes(part, self._rate))
                release_pages(part)
                made.append(_described(clip, name, len(part) / self._rate))
        files = [clip["file"] for clip in made]
        folder.done(one.id, one.document_sha256, files, clips=made, **described(one))

    def finish(self, folder: ExportFolder) -> None:
        """The list of all clips.

        Raises:
            as `ExportFolder.write`.
        """
        entries = [folder.entries[id] for id in sorted(folder.entries)]
        if self._kind == "ljspeech":
            lines = (_ljspeech_line(clip) for entry in entries for clip in entry["clips"])
            folder.write("metadata.csv", "".join(lines).encode())
        else:
            folder.write("train/metadata.jsonl", "".join(_jsonl_lines(entries)).encode())

    @property
    def _folder(self) -> str:
        return "wavs" if self._kind == "ljspeech" else "train"


def wav_bytes(samples: np.ndarray, sample_rate_hz: int) -> bytes:
    """A WAV file of 16 bits.

    Args:
        samples: float32, shape (n_samples,), mono, in [-1, 1].
    """
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(sample_rate_hz)
        writer.writeframes((np.clip(samples, -1, 1) * 32_767).astype("<i2").tobytes())
    return file.getvalue()


def _name(one: Chosen) -> str:
    """Ids of sites differ in upper and lower case; file systems do not tell those apart."""
    digest = hashlib.sha256(one.id.encode()).hexdigest()[:12]
    return f"{one.media_id}-{digest}"


def _described(clip: Clip, name: str, duration_s: float) -> dict[str, Any]:
    return {
        "file": name,
        "text": clip.text,
        "start_s": round(clip.start_s, 3),
        "end_s": round(clip.end_s, 3),
        "duration_s": round(duration_s, 3),
    }


def _ljspeech_line(clip: dict[str, Any]) -> str:
    """Name, text and text again, where LJSpeech has numbers and abbreviations in words."""
    name = clip["file"].rpartition("/")[2].removesuffix(".wav")
    text = clip["text"].replace("|", " ")
    return f"{name}|{text}|{text}\n"


def _jsonl_lines(entries: list[dict[str, Any]]) -> Iterator[str]:
    for entry in entries:
        known = {name: entry[name] for name in ("media_id", "title", "channel", "language")}
        for clip in entry["clips"]:
            row = {
                "file_name": clip["file"].removeprefix("train/"),
                "transcription": clip["text"],
                "start_s": clip["start_s"],
                "end_s": clip["end_s"],
                "duration_s": clip["duration_s"],
                "transcription_id": entry["id"],
                **known,
            }
            yield json.dumps(row, ensure_ascii=False) + "\n"
