"""Makes recordings by joining whole English clips, with their reference text."""

import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.common import Clip, clips

SAMPLE_RATE_HZ = 16_000
PAUSE_S = (0.3, 1.5)


def spoken(directory: Path) -> list[Clip]:
    """Return the English clips of a folder that have a reference."""
    return [clip for clip in clips(directory) if clip.language == "en" and clip.reference]


def joined_clips(
    directory: Path, folder: Path, count: int, shortest_s: float, longest_s: float
) -> list[Clip]:
    """Write new recordings as FLAC, all different, with evenly distributed lengths, reproducibly.

    Args:
        directory: of real clips.
        folder: for the new recordings.
    """
    from faster_whisper.audio import decode_audio

    choose = random.Random(7)
    waveforms = {clip: np.asarray(decode_audio(str(clip.path))) for clip in spoken(directory)}
    made = []
    for number in range(count):
        wanted_s = shortest_s + (longest_s - shortest_s) * number / max(1, count - 1)
        pieces, words, length_s = [], [], 0.0
        order = choose.sample(list(waveforms), len(waveforms)) * 20
        for clip in order:
            pause_s = choose.uniform(*PAUSE_S)
            if length_s + clip.duration_s + pause_s > max(wanted_s, shortest_s):
                continue
            pause = np.zeros(int(pause_s * SAMPLE_RATE_HZ), dtype=np.float32)
            pieces += [waveforms[clip], pause]
            words.append(clip.reference)
            length_s += clip.duration_s + pause_s
        left = np.zeros(int(max(0.0, wanted_s - length_s) * SAMPLE_RATE_HZ), dtype=np.float32)
        path = folder / f"clip-{number:04d}.flac"
        duration_s = write_flac([*pieces, left], path)
        made.append(Clip(path, "en", " ".join(words), "joined", duration_s))
    choose.shuffle(made)
    return made


def write_flac(pieces: Sequence[np.ndarray], file: Path) -> float:
    """Write the pieces, float32 at 16 kHz, as one file; return its length in seconds."""
    import av

    audio = (np.concatenate(pieces) * 32767).clip(-32768, 32767).astype(np.int16)
    with av.open(str(file), "w") as container:
        stream = container.add_stream("flac", rate=SAMPLE_RATE_HZ, layout="mono")
        frame = av.AudioFrame.from_ndarray(audio[np.newaxis], format="s16", layout="mono")
        frame.sample_rate = SAMPLE_RATE_HZ
        fifo = av.AudioFifo()
        fifo.write(frame)
        while (part := fifo.read(4096, partial=True)) is not None:
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))
    return len(audio) / SAMPLE_RATE_HZ
