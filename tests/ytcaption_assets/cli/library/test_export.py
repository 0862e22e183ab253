"""`ytcaption export`: the folder's content, repeated exports, and file names."""

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
import unicodedata
import wave
from collections.abc import Callable
from pathlib import Path

import pyarrow.dataset
import pyarrow.parquet
import pytest
from click.testing import Result
from typer.testing import CliRunner

from resources.export.folder import INDEX
from resources.lake.catalog import TranscriptCatalog
from resources.object_store.store import ObjectStore, document_key
from resources.transcriptions.store import RequestStore
from tests.support.exported import Library
from ytcaption.domain.errors import FileUnreadable, InvalidOption
from ytcaption.settings.settings import Settings
from ytcaption_assets.cli.main import app


@pytest.fixture
def library(settings: Settings, request_store: RequestStore, object_store: ObjectStore) -> Library:
    """An empty library."""
    return Library(settings, request_store, object_store)


@pytest.fixture
def export(settings: Settings, tmp_path: Path) -> Callable[..., Result]:
    """Return a function that runs the command on the folder `out` and raises its errors."""

    def run(*arguments: str, status: int = 0) -> Result:
        runner = CliRunner(env={"COLUMNS": "200"})
        result = runner.invoke(app, ["export", str(tmp_path / "out"), *arguments])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == status, result.stderr
        return result

    return run


def files(folder: Path) -> dict[str, bytes]:
    """Return the folder's files without the index."""
    paths = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*")}
    return {
        name: path.read_bytes()
        for name, path in sorted(paths.items())
        if path.is_file() and name != INDEX
    }


@pytest.mark.slow
def test_captions_by_channel_and_title(library: Library, export, tmp_path: Path):
    """The folder has three formats, and an index with the transcription of each file."""
    id = library.add()
    result = export()
    assert "1 new and 0 changed transcriptions written" in result.stderr
    exported = files(tmp_path / "out")
    stem = "JFK Library/Ask not [youtube-jfk]"
    assert list(exported) == [f"{stem}.srt", f"{stem}.txt", f"{stem}.vtt"]
    assert b"ask what you can do for your country" in exported[f"{stem}.txt"]
    [line] = (tmp_path / "out" / INDEX).read_text().splitlines()
    entry = json.loads(line)
    assert (entry["id"], entry["title"], entry["published_on"]) == (id, "Ask not", "2026-01-02")
    assert entry["files"] == [f"{stem}.srt", f"{stem}.vtt", f"{stem}.txt"]


@pytest.mark.slow
def test_a_repeated_export_writes_new_and_changed_ones(library: Library, export, tmp_path: Path):
    """Other files are not touched; a missing one is written again."""
    first = library.add(title="First", media="a")
    library.add(title="Second", media="b")
    folder = tmp_path / "out"
    export("--format", "txt")
    before = {name: os.stat(folder / name).st_mtime_ns for name in files(folder)}
    again = export("--format", "txt")
    assert "0 new and 0 changed" in again.stderr and "2 unchanged" in again.stderr
    library.add(title="Third", media="c")
    library.change(first, "Something else.")
    dry = export("--format", "txt", "--dry-run")
    assert "1 new and 1 changed transcriptions would be written, 1 unchanged" in dry.stderr
    assert {name: os.stat(folder / name).st_mtime_ns for name in files(folder)} == before
    third = export("--format", "txt")
    assert "1 new and 1 changed transcriptions written, 1 unchanged" in third.stderr
    changed = {name for name in before if os.stat(folder / name).st_mtime_ns != before[name]}
    assert changed == {"JFK Library/First [youtube-a].txt"}
    assert b"Something else." in files(folder)["JFK Library/First [youtube-a].txt"]
    (folder / "JFK Library/Second [youtube-b].txt").unlink()
    assert "0 new and 1 changed" in export("--format", "txt").stderr


HOSTILE = {
    "../../etc/passwd": "etc passwd",
    "C:\\Windows\\x": "C Windows x",
    "con": "",
    "LPT1.txt": "",
    "a\x00b\nc\x1b[2J": "ab c [2J",
    "...": "",
    "\u202egnp.exe": "gnp.exe",
    "u\u0308ber": "über",
    "a" * 300: "a" * 110,
    "日" * 300: "日" * 36,
    "name.": "name",
    "Index.JSONL": "Index.JSONL",
    'what? "this": <that>|*': "what this that",
}


@pytest.mark.slow
def test_no_title_is_a_path(library: Library, export, tmp_path: Path):
    """Names keep the characters of titles and channels that every file system takes (rule 7)."""
    for number, title in enumerate(HOSTILE):
        library.add(media=f"m{number}", title=title, channel=title)
    export("--format", "txt")
    folder = tmp_path / "out"
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "home") == ["out"]
    names = {Path(name).name for name in files(folder)}
    expected = {
        f"{f'{kept} [youtube-m{number}]'.strip()}.txt"
        for number, kept in enumerate(HOSTILE.values())
    }
    assert names == expected
    for name in files(folder):
        assert name.count("/") == 1
        assert all(0 < len(part.encode()) <= 255 for part in name.split("/"))
        assert name == unicodedata.normalize("NFC", name)
        assert not set(name) & set('<>:"\\|?*\x00\n\x1b')


@pytest.mark.slow
def test_names_differ_on_case_insensitive_file_systems(library: Library, export, tmp_path: Path):
    """Two ids that differ only in case get two names, and keep them."""
    library.add(media="abcDEF", title="Same")
    library.add(media="ABCdef", title="same")
    for _ in range(2):
        export("--format", "txt")
        names = sorted(name.casefold() for name in files(tmp_path / "out"))
        assert len(set(names)) == 2
        assert names[0].endswith("same [youtube-abcdef] (2).txt")


@pytest.mark.slow
def test_a_part_of_the_library_is_chosen(library: Library, export, tmp_path: Path):
    """It is chosen by channel, language, dates or a query, with the newest or all versions."""
    library.add(media="a", title="A", channel="One", published="2026-01-01")
    old = library.add(media="b", title="B", channel="Two", published="2026-03-01")
    library.add(media="b", title="B", channel="Two", published="2026-03-01", model="small")

    def chosen(*options: str) -> list[str]:
        result = export("--dry-run", *options)
        return [result.stderr.split(" new")[0].split()[-1]]

    assert chosen() == ["2"]
    assert chosen("--versions") == ["3"]
    assert chosen("--channel", "one") == ["1"]
    assert chosen("--language", "de") == ["0"]
    assert chosen("--since", "2026-02-01") == ["1"]
    assert chosen("--until", "2026-02-01") == ["1"]
    query = f"select transcription_id from transcripts where transcription_id = '{old}'"
    assert chosen("--query", query) == ["1"]
    assert not (tmp_path / "out").exists()
    with pytest.raises(InvalidOption, match="not a date"):
        export("--since", "yesterday")


@pytest.mark.slow
def test_prune_removes_files_that_no_longer_match(library: Library, export, tmp_path: Path):
    """Files that are not of the export stay."""
    library.add(media="a", title="A", channel="One")
    library.add(media="b", title="B", channel="Two")
    export("--format", "txt")
    folder = tmp_path / "out"
    (folder / "Two" / "mine.txt").write_text("mine")
    result = export("--format", "txt", "--channel", "One")
    assert "1 in the folder no longer match" in result.stderr
    export("--format", "txt", "--channel", "One", "--prune")
    assert sorted(files(folder)) == ["One/A [youtube-a].txt", "Two/mine.txt"]


@pytest.mark.slow
def test_an_interrupted_export_continues(library: Library, export, tmp_path: Path):
    """Items with a line in the index are not written again; an incomplete line is ignored."""
    for media in "abc":
        library.add(media=media, title=media)
    export("--format", "txt")
    folder = tmp_path / "out"
    lines = (folder / INDEX).read_text().splitlines()
    (folder / INDEX).write_text(f"{lines[0]}\n{lines[1][:40]}")
    (folder / ".unfinished").write_text("half of a fi")
    result = export("--format", "txt")
    assert "1 unchanged" in result.stderr
    assert len(files(folder)) == 3
    assert len((folder / INDEX).read_text().splitlines()) == 3


@pytest.mark.slow
def test_a_killed_process_leaves_complete_files(library: Library, export, tmp_path: Path):
    """The next export continues from them, and the result is that of an undisturbed export."""
    for media in "abcd":
        library.add(media=media)
    folder, whole = tmp_path / "out", tmp_path / "whole"
    command = [sys.executable, "-m", "ytcaption_assets.cli.main", "export", "--as", "ljspeech"]
    for count in (1, 4, 7):
        process = subprocess.Popen([*command, "--max-s", "5", str(folder)])
        while process.poll() is None and len(list(folder.glob("wavs/*.wav"))) < count:
            time.sleep(0.001)
        process.kill()
        assert process.wait() == -signal.SIGKILL
        for path in folder.glob("wavs/*.wav"):
            assert clip(path.read_bytes())[1] >= 1.0
    export("--as", "ljspeech", "--max-s", "5")
    subprocess.run([*command, "--max-s", "5", str(whole)], check=True)
    assert files(folder) == files(whole)


@pytest.mark.slow
def test_other_folders_are_refused(library: Library, export, tmp_path: Path):
    """An export is mixed neither with other files nor with another kind of export."""
    library.add()
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "thesis.txt").write_text("mine")
    with pytest.raises(InvalidOption, match="not empty and not an export"):
        export()
    (folder / "thesis.txt").unlink()
    export()
    with pytest.raises(InvalidOption, match="holds an export of kind captions"):
        export("--as", "parquet")
    (tmp_path / "file").write_text("")
    with pytest.raises(FileUnreadable, match="cannot be written"):
        CliRunner().invoke(app, ["export", str(tmp_path / "file" / "x")], catch_exceptions=False)


@pytest.mark.slow
def test_a_changed_index_leads_nowhere_else(library: Library, export, tmp_path: Path):
    """Files outside the folder are not removed, even if the index has them."""
    library.add()
    export("--format", "txt")
    victim = tmp_path / "victim.txt"
    victim.write_text("mine")
    index = tmp_path / "out" / INDEX
    entry = json.loads(index.read_text()) | {"id": "x", "files": ["../victim.txt", str(victim)]}
    with index.open("a") as file:
        file.write(json.dumps(entry) + "\n")
    export("--format", "txt", "--prune")
    assert victim.read_text() == "mine"


@pytest.mark.long
def test_parquet_is_read_by_any_tool(library: Library, export, tmp_path: Path, settings: Settings):
    """Each table is a folder of files with the lake's rows of the chosen transcriptions."""
    library.add(media="a")
    library.add(media="b", channel="Two")
    export("--as", "parquet")
    folder = tmp_path / "out"
    catalog = TranscriptCatalog.from_settings(settings)
    for table in ("transcripts", "segments", "words", "media"):
        rows = pyarrow.dataset.dataset(folder / table, format="parquet").to_table()
        assert rows.num_rows == catalog.query(f"select count(*) from {table}").rows[0][0] > 0
    words = pyarrow.dataset.dataset(folder / "words").to_table().to_pandas()
    assert words["word"][0] == "and"
    assert str(words.dtypes["start_s"]) == "float64"
    before = files(folder)
    assert "0 new and 0 changed files" in export("--as", "parquet").stderr
    assert files(folder) == before
    export("--as", "parquet", "--channel", "Two")
    [media] = pyarrow.dataset.dataset(folder / "media").to_table().to_pylist()
    assert media["media_id"] == "youtube-b"


def clip(data: bytes) -> tuple[int, float]:
    """Return the sample rate in Hz and the duration in seconds of a WAV file."""
    with wave.open(io.BytesIO(data)) as file:
        assert (file.getnchannels(), file.getsampwidth()) == (1, 2)
        return file.getframerate(), file.getnframes() / file.getframerate()


@pytest.mark.slow
def test_ljspeech_folder(library: Library, export, tmp_path: Path):
    """It has clips of at most the given length, each with its text."""
    library.add()
    export("--as", "ljspeech", "--max-s", "5")
    exported = files(tmp_path / "out")
    rows = list(
        csv.reader(
            io.StringIO(exported["metadata.csv"].decode()), delimiter="|", quoting=csv.QUOTE_NONE
        )
    )
    wavs = {name for name in exported if name.endswith(".wav")}
    assert wavs == {f"wavs/{name}.wav" for name, _, _ in rows} and len(rows) >= 3
    assert all(text == again for _, text, again in rows)
    spoken = " ".join(text for _, text, _ in rows)
    assert spoken.startswith("And so my fellow Americans, ask not what your country")
    for name in wavs:
        rate, duration_s = clip(exported[name])
        assert rate == 22_050 and 1.0 <= duration_s <= 5.0


@pytest.mark.slow
def test_audiofolder_of_hugging_face(library: Library, export, tmp_path: Path):
    """`metadata.jsonl` beside the files has the transcription and text of each."""
    id = library.add()
    export("--as", "audiofolder", "--sample-rate", "8000")
    folder = tmp_path / "out" / "train"
    rows = [json.loads(line) for line in (folder / "metadata.jsonl").read_text().splitlines()]
    assert rows[0]["transcription_id"] == id and rows[0]["title"] == "Ask not"
    for row in rows:
        rate, duration_s = clip((folder / row["file_name"]).read_bytes())
        assert rate == 8_000
        assert duration_s == pytest.approx(row["duration_s"], abs=0.001)
    assert "ask not" in rows[0]["transcription"]


@pytest.mark.slow
def test_clips_have_the_samples_of_their_time(library: Library, export, tmp_path: Path):
    """They are those of the recording, to the millisecond."""
    import numpy as np

    from resources.audio.decoder import decode
    from tests.support.exported import DATA

    library.add()
    export("--as", "audiofolder", "--max-s", "5")
    folder = tmp_path / "out" / "train"
    whole = decode(DATA / "jfk.flac", max_audio_s=60, memory_bytes=1 << 30)
    for line in (folder / "metadata.jsonl").read_text().splitlines():
        row = json.loads(line)
        with wave.open(str(folder / row["file_name"])) as file:
            samples = np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32_767
        start = int(row["start_s"] * 16_000)
        expected = whole[start : start + len(samples)]
        # A start is rounded to a millisecond: 16 samples.
        best = max(
            float(np.corrcoef(samples[20:-20], np.roll(expected, shift)[20:-20])[0, 1])
            for shift in range(-17, 18)
        )
        assert best > 0.99


@pytest.mark.model
@pytest.mark.slow
def test_a_model_transcribes_each_clip_as_its_text(
    library: Library, export, tmp_path: Path, model_home: Path
):
    """Clips are cut between words, and no word is cut off."""
    from resources.audio.decoder import decode
    from resources.transcribe.whisper_transcriber import WhisperTranscriber
    from tests.support.clip_errors import TINY_EN, text
    from ytcaption.domain.transcripts.accuracy import word_errors

    library.add()
    export("--as", "audiofolder", "--max-s", "5")
    transcriber = WhisperTranscriber(
        models_home=str(model_home), engine="sequential", cpu_threads=2
    )
    folder = tmp_path / "out" / "train"
    rows = [json.loads(line) for line in (folder / "metadata.jsonl").read_text().splitlines()]
    assert len(rows) >= 3
    for row in rows:
        samples = decode(folder / row["file_name"], max_audio_s=60, memory_bytes=1 << 30)
        transcript = text(transcriber.transcribe(samples, TINY_EN, lambda *_: None))
        assert word_errors("en", row["transcription"], transcript).rate <= 0.2, (row, transcript)


@pytest.mark.slow
def test_audio_that_is_no_longer_stored_is_reported(library: Library, export, tmp_path: Path):
    """The others are exported, and the exit status is 1."""
    library.add(media="a", title="Kept")
    gone = library.add(media="b", title="Gone\x1b[2J")
    library.retire_audio(gone)
    result = export("--as", "ljspeech", status=1)
    assert "Not exported: Gone\ufffd[2J" in result.stderr
    assert "Its audio is not stored" in result.stderr
    assert "1 new" in result.stderr and "1 failed" in result.stderr
    assert "1 failed" in export("--as", "ljspeech", "--dry-run", status=1).stderr


@pytest.mark.slow
def test_a_damaged_document_is_reported(
    library: Library, export, object_store: ObjectStore, tmp_path: Path
):
    """The others are exported all the same."""
    library.add(media="a", title="Good")
    bad = library.add(media="b", title="Bad")
    object_store.write_bytes(document_key(bad), b"{}")
    result = export("--format", "txt", status=1)
    assert "Not exported: Bad" in result.stderr
    assert list(files(tmp_path / "out")) == ["JFK Library/Good [youtube-a].txt"]
