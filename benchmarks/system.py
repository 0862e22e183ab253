"""Clips through the whole system by POST: completed, in the lake, as accurate as faster-whisper.

python -m benchmarks.system [--audio DIR] [--model base] [--clips 20]
"""

import argparse
import csv
import io
import time
from collections import defaultdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.common import TEST_DATA, Clip, clips, total
from benchmarks.installation import installation
from resources.models.store import ensure_model
from tests.support.servers.media_server import MediaServer
from ytcaption.domain.transcripts.accuracy import word_errors
from ytcaption.domain.transcripts.metrics import WordErrors
from ytcaption.settings.settings import load_settings

ALLOWED_POINTS = 0.005  # half a point of word error rate, by language
PER_CLIP_S = 60


def main() -> None:
    """Prints the table; exit status 1 where something is lost or less accurate than allowed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--audio", type=Path, default=TEST_DATA)
    parser.add_argument("--model", default="base")
    parser.add_argument("--clips", type=int, default=20)
    arguments = parser.parse_args()
    console = Console()
    chosen = _spoken(clips(arguments.audio), arguments.clips)
    models_home = load_settings().models_home
    directory = ensure_model(arguments.model, models_home).directory

    began = time.perf_counter()
    with MediaServer(arguments.audio) as server, installation(models_home) as system:
        ready_s = time.perf_counter() - began
        began = time.perf_counter()
        ids = {clip: system.submit(server.url(clip.path.name), arguments.model) for clip in chosen}
        statuses = system.wait(list(ids.values()), PER_CLIP_S * len(chosen))
        wall_s = time.perf_counter() - began
        completed = [clip for clip, key in ids.items() if statuses[key] == "completed"]
        ours = {clip: system.text(ids[clip]) for clip in completed}
        rows = system.sql(
            "select count(*) as transcripts, count(distinct media_id) as media from transcripts"
        )
    in_lake = next(csv.reader(io.StringIO(rows.splitlines()[1])))[0]

    plain_began = time.perf_counter()
    plain = _plain(completed, directory)
    plain_s = time.perf_counter() - plain_began

    worst = _print_accuracy(console, completed, ours, plain)
    audio_s = sum(clip.duration_s for clip in chosen)
    console.print(
        f"{len(completed)} of {len(chosen)} completed, {in_lake} transcripts in the lake; "
        f"{audio_s:.0f} s of audio; up was ready after {ready_s:.1f} s; "
        f"POST to the last completed {wall_s:.1f} s, "
        f"{wall_s / plain_s:.2f} times plain faster-whisper's {plain_s:.1f} s"
    )
    lost = len(completed) != len(chosen) or int(in_lake) != len(chosen)
    raise SystemExit(int(lost or worst > ALLOWED_POINTS))


def _spoken(found: list[Clip], count: int) -> list[Clip]:
    """Clips with a reference, every language in turn, shortest first."""
    by_language: dict[str, list[Clip]] = defaultdict(list)
    for clip in sorted(found, key=lambda clip: clip.duration_s):
        if clip.reference and clip.language:
            by_language[clip.language].append(clip)
    chosen: list[Clip] = []
    while len(chosen) < count and any(by_language.values()):
        for language in list(by_language):
            if by_language[language] and len(chosen) < count:
                chosen.append(by_language[language].pop(0))
    return chosen


def _plain(chosen: list[Clip], directory: Path) -> dict[Clip, str]:
    from faster_whisper import WhisperModel

    model = WhisperModel(str(directory), device="cpu", compute_type="int8")
    return {
        clip: " ".join(
            segment.text.strip() for segment in model.transcribe(str(clip.path), beam_size=5)[0]
        )
        for clip in chosen
    }


def _print_accuracy(
    console: Console, chosen: list[Clip], ours: dict[Clip, str], plain: dict[Clip, str]
) -> float:
    """How far ours is above plain in the worst language, as a rate."""
    scores: dict[str, list[tuple[WordErrors, WordErrors]]] = defaultdict(list)
    for clip in chosen:
        pair = tuple(
            word_errors(clip.language, clip.reference, texts[clip]) for texts in (ours, plain)
        )
        scores[clip.language].append((pair[0], pair[1]))
    table = Table("language", "clips", "words", "ytcaption WER", "faster-whisper WER")
    worst = 0.0
    for language, pairs in sorted(scores.items()):
        mine, theirs = total(pair[0] for pair in pairs), total(pair[1] for pair in pairs)
        worst = max(worst, mine.rate - theirs.rate)
        table.add_row(
            language,
            str(len(pairs)),
            str(mine.reference_words),
            f"{mine.rate:.2%}",
            f"{theirs.rate:.2%}",
        )
    console.print(table)
    return worst


if __name__ == "__main__":
    main()
