"""Speech with its text, cut into clips for training: folders of WAV files with a list of them.

The formats are LJSpeech and Hugging Face's audiofolder.
"""

import hashlib
import io
import json
import wave
from collections.abc import Iterator
from typing import Any, Literal

import numpy as np

from resources.audio.decoder import AudioDecoder
from resources.audio.samples import release_pages
from resources.export.captions import index_fields
from resources.export.folder import ExportFolder
from resources.export.selection import SelectedTranscription
from resources.object_store.store import ObjectStore
from ytcaption.domain.transcripts.clips import Clip, clips
from ytcaption.domain.transcripts.transcript import Transcript
from ytcaption.settings.settings import Settings

DatasetKind = Literal["ljspeech", "audiofolder"]

RATES: dict[DatasetKind, int] = {"ljspeech": 22_050, "audiofolder": 16_000}
"""Sample rate in Hz that readers of such folders expect."""


class DatasetExport:
    """Exports one transcription at a time; `finish` writes the list of clips from the index."""

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

    def missing_requirement(self, item: SelectedTranscription) -> str | None:
        """Return why it cannot be exported; None: it can."""
        if item.audio_key is None:
            return "Its audio is not stored."
        return None

    def export(self, item: SelectedTranscription, folder: ExportFolder) -> None:
        """Write the clips.

        Raises:
            StorageError, AudioError: document or audio cannot be read.
            and as `ExportFolder.write`.
        """
        assert item.audio_key is not None
        data = self._objects.read_bytes(item.document_key, item.document_sha256)
        transcript = Transcript.from_json(data)
        planned = clips(transcript, min_s=self._min_s, max_s=self._max_s)
        written = []
        if planned:
            with self._objects.local_file(item.audio_key, item.audio_sha256) as path:
                samples = self._decoder.decode(path, sample_rate_hz=self._rate)
            for number, clip in enumerate(planned, 1):
                part = samples[int(clip.start_s * self._rate) : int(clip.end_s * self._rate)]
                # A segment may end after the audio.
                if len(part) < self._min_s * self._rate:
                    continue
                name = f"{self._folder}/{_name(item)}-{number:05}.wav"
                folder.write(name, wav_bytes(part, self._rate))
                release_pages(part)
                written.append(_clip_fields(clip, name, len(part) / self._rate))
        files = [clip["file"] for clip in written]
        folder.add(item.id, item.document_sha256, files, clips=written, **index_fields(item))

    def finish(self, folder: ExportFolder) -> None:
        """Write the list of all clips.

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
    """Return a 16-bit WAV file.

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


def _name(item: SelectedTranscription) -> str:
    """Return a file name; site ids differ in case, which some file systems ignore."""
    digest = hashlib.sha256(item.id.encode()).hexdigest()[:12]
    return f"{item.media_id}-{digest}"


def _clip_fields(clip: Clip, name: str, duration_s: float) -> dict[str, Any]:
    return {
        "file": name,
        "text": clip.text,
        "start_s": round(clip.start_s, 3),
        "end_s": round(clip.end_s, 3),
        "duration_s": round(duration_s, 3),
    }


def _ljspeech_line(clip: dict[str, Any]) -> str:
    """Return name, text and the text again, where LJSpeech has it with numbers in words."""
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
