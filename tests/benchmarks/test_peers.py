"""The comparison of engines: its sets, its results, and reasons for missing results."""

from pathlib import Path

import pytest

from benchmarks.common import TEST_DATA, clips
from benchmarks.peer_arms import ARMS, REFERENCE, Arm
from benchmarks.peer_report import BEGIN, END, put, section
from benchmarks.peer_sets import SETS, chosen, recordings, within
from benchmarks.peers import compared, skip_reason

ABSENT = Arm("absent", "no_such_engine:sequential", (), is_in_product=True)
SLOW = Arm("slow", "plain:sequential", ())


def test_sets_match_their_description() -> None:
    """English clips, short ones, four languages in turn, two in turn, no speech."""
    all_clips = clips(TEST_DATA)
    sets = {name: chosen(name, all_clips) for name in ("clips", "short", "multi", "mix", "silence")}

    assert {each.language for each in sets["clips"]} == {"en"}
    assert all(each.duration_s < 6 for each in sets["short"])
    assert [each.language for each in sets["multi"]][:4] == ["de", "fr", "es", "pt"]
    assert [each.language for each in sets["mix"]] == ["en", "de"] * 3
    assert {each.kind for each in sets["silence"]} == {"silence", "noise", "music"}
    assert all(sets.values())


def test_a_limit_keeps_the_first_clips() -> None:
    """The clip that reaches the limit is the last, and one is always kept."""
    english = chosen("clips", clips(TEST_DATA))

    assert within(english, 0.1) == english[:1]
    assert within(english, english[0].duration_s + 0.1) == english[:2]


@pytest.mark.slow
def test_an_english_model_gets_english_sets() -> None:
    """Sets of other languages are empty for it; for base the language of a mix is not given."""
    assert recordings("multi", TEST_DATA, "tiny.en", 1) == []
    assert recordings("mix", TEST_DATA, "tiny.en", 1) == []
    (spoken,) = recordings("mix", TEST_DATA, "base", 1)
    assert spoken.language is None
    (long,) = recordings("1h", TEST_DATA, "tiny.en", 20)
    assert 20 <= len(long.waveform) / 16_000 < 60
    assert long.clip.duration_s == pytest.approx(len(long.waveform) / 16_000)


def test_a_slow_engine_is_skipped_on_long_sets() -> None:
    """Its best speed so far decides; ours and faster-whisper run all sets."""
    assert skip_reason(SLOW, audio_s=600, speed=None, patience_s=90) is None
    assert skip_reason(SLOW, audio_s=600, speed=10.0, patience_s=90) is None
    reason = skip_reason(SLOW, audio_s=600, speed=4.0, patience_s=90)
    assert reason == "skipped: at 4.0 times real time, its best before, it would take 150 s"
    assert skip_reason(ARMS[REFERENCE], audio_s=600, speed=4.0, patience_s=90) is None


@pytest.mark.slow
def test_pieces_are_short_and_do_not_overlap() -> None:
    """Each is a part of its clip with the words of that part; those of one clip are in order."""
    pieces = recordings("pieces", TEST_DATA, "base", 1000)

    assert len(pieces) > 3
    assert all(0 < len(each.waveform) / 16_000 < 6 for each in pieces)
    references = {each.path.name: each.reference for each in clips(TEST_DATA)}
    for name in {each.clip.path.name for each in pieces}:
        at = 0
        for each in pieces:
            if each.clip.path.name == name:
                at = references[name].index(each.clip.reference, at) + len(each.clip.reference)
    assert len(recordings("pieces", TEST_DATA, "base", 0.1)) == 1


@pytest.mark.slow
@pytest.mark.model
def test_an_engine_that_cannot_run_is_listed_with_the_reason(
    model_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others are measured in real processes, each with its own clocks and memory."""
    monkeypatch.setenv("YTCAPTION_MODEL_DIRECTORY", str(model_home))
    spoken = recordings("short", TEST_DATA, "tiny.en", 1)
    speeds: dict[str, float] = {}

    plain, absent = compared(
        {REFERENCE: ARMS[REFERENCE], "absent": ABSENT}, spoken, "tiny.en", 1, speeds, 90
    )

    assert absent["reason"].startswith("failed: ModuleNotFoundError")
    assert plain["wer"] < 0.3
    assert plain["reference_words"] > 5
    assert plain["ratio"] == 1.0
    assert plain["peak_bytes"] > 100_000_000
    assert plain["cpu_s"] > 0
    assert set(plain["versions"]) == {"faster-whisper", "ctranslate2"}
    assert set(speeds) == {REFERENCE}


def test_the_page_lists_results_and_reasons() -> None:
    """It also has the machine, the versions and the command."""
    page = section(_run(), SETS)

    assert "Some CPU (AVX2), 2 cores, 24 GiB" in page
    assert "    python -m benchmarks.peers --models base" in page
    assert "faster-whisper 1.2.1" in page
    assert "| **ytcaption batched** | 6.50x | 6.50x |" in page
    assert "| **ytcaption batched** | 4.3% | 2 words |" in page
    assert page.count("| openai-whisper | – | – |") == 2
    assert "WER by language" not in page
    assert "- openai-whisper: not installed" in page


def test_a_set_of_several_languages_has_a_table_of_them() -> None:
    """It has a row per engine that was measured and a column per language."""
    run = _run()
    run["rows"][0]["by_language"] = {"fr": 0.298, "de": 0.149}

    page = section(run, SETS)

    assert "| WER by language | de | fr |" in page
    assert "| **ytcaption batched** | 14.9% | 29.8% |" in page


def test_the_rest_of_a_page_is_kept(tmp_path: Path) -> None:
    """Only the section between the marks is replaced."""
    page = tmp_path / "benchmarks.md"
    page.write_text("# Benchmarks\n\nBefore.\n")

    put(page, "first")
    page.write_text(page.read_text() + "\nAfter.\n")
    put(page, "second")

    assert page.read_text() == (
        f"# Benchmarks\n\nBefore.\n\n{BEGIN}\n\nsecond\n\n{END}\n\nAfter.\n"
    )


def _run() -> dict:
    measured = {
        "model": "base",
        "audio_s": 276.0,
        "times_real_time": 50.0,
        "rtf": 0.02,
        "ratio": 6.5,
        "cpu_s": 10.0,
        "cpu_ratio": 4.0,
        "load_s": 1.2,
        "peak_bytes": 500 << 20,
        "deletions": 4,
        "insertions": 2,
    }
    spoken = {"set": "clips", "wer": 0.043, "by_language": {"en": 0.043}}
    silent = {"set": "silence", "wer": None, "by_language": {}}
    lacking = {
        "model": "base",
        "engine": "openai-whisper",
        "audio_s": 276.0,
        "reason": "not installed",
    }
    return {
        "command": "python -m benchmarks.peers --models base",
        "date": "2026-11-25",
        "machine": {
            "cpu": "Some CPU (AVX2)",
            "cores": 2,
            "memory_bytes": 24 << 30,
            "nice": 0,
            "system": "Linux",
            "python": "3.11.7",
        },
        "threads": 2,
        "beam_size": 5,
        "versions": {"faster-whisper": "1.2.1"},
        "rows": [
            measured | {"engine": "ytcaption-batched"} | spoken,
            lacking | {"set": "clips"},
            measured | {"engine": "ytcaption-batched"} | silent,
            lacking | {"set": "silence"},
        ],
    }
