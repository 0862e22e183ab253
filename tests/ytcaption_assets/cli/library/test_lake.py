"""`ytcaption sql`, `ytcaption lake` and `ytcaption report`."""

import csv
import io
import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pyarrow.ipc
import pyarrow.parquet
import pytest
from click.testing import Result
from typer.testing import CliRunner

from resources.lake.catalog import TranscriptCatalog
from resources.lake.views import VIEWS
from resources.object_store.store import ObjectStore, document_key
from resources.reports.report import read_report
from resources.transcriptions.run_store import RunStore
from resources.transcriptions.store import RequestStore
from tests.resources.lake.test_external_reader import drop_reader
from tests.support.lake_documents import make_document
from tests.support.lake_rows import transcript_ids
from tests.support.paths import ROOT
from ytcaption.domain.errors import FileUnreadable, InputError, InvalidOption, QueryError
from ytcaption.domain.media.media import MediaInfo
from ytcaption.domain.request import TranscriptionOptions
from ytcaption.settings.settings import Settings
from ytcaption_assets.cli.main import app, run

RUN_ID = "9f1b"


@pytest.fixture
def catalog(settings: Settings) -> TranscriptCatalog:
    """A lake with one transcript, whose title is hostile."""
    catalog = TranscriptCatalog.from_settings(settings)
    catalog.append(*make_document(title="=1+1\x1b[2J[red]"))
    return catalog


@pytest.fixture
def ytcaption(settings: Settings, catalog: TranscriptCatalog) -> Callable[..., Result]:
    """Return a function that runs the command on that lake and raises its errors."""

    def run(*arguments: str, input: str | None = None) -> Result:
        runner = CliRunner(env={"COLUMNS": "200"})
        result = runner.invoke(app, arguments, input=input)
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run


@pytest.mark.slow
def test_sql_prints_a_table(ytcaption):
    """It has names and values, without markup or control characters of untrusted text."""
    result = ytcaption("sql", "select title, 30 as words from media")
    assert result.exit_code == 0
    assert "words" in result.stdout
    assert "=1+1\ufffd[2J[red]" in result.stdout
    assert "\x1b[2J" not in result.stdout


@pytest.mark.slow
def test_sql_prints_csv_that_is_safe_in_a_spreadsheet(ytcaption):
    """It is RFC 4180 with plain numbers; text that looks like a formula is quoted (rule 22)."""
    result = ytcaption("sql", "--csv", "select title, -1 as n, null as nothing from media")
    assert list(csv.reader(io.StringIO(result.stdout))) == [
        ["title", "n", "nothing"],
        ["'=1+1\x1b[2J[red]", "-1", ""],
    ]


@pytest.mark.slow
def test_sql_writes_parquet(ytcaption, tmp_path: Path):
    """The file has the rows with their types, and no other file is left."""
    path = tmp_path / "out" / "words.parquet"
    path.parent.mkdir()
    result = ytcaption("sql", "from words", "--parquet", str(path))
    assert pyarrow.parquet.read_table(path).num_rows == 30
    assert "30 rows" in result.stderr
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.slow
def test_sql_reads_a_statement_from_a_file_or_its_input(ytcaption, tmp_path: Path):
    """Two queries, or an unreadable file, are an error."""
    path = tmp_path / "question.sql"
    path.write_text("select count(*) as n\nfrom words -- all\n")
    assert ytcaption("sql", "--file", str(path), "--csv").stdout == "n\n30\n"
    assert ytcaption("sql", "--csv", input="select 1 as n;").stdout == "n\n1\n"
    assert ytcaption("sql", "-", "--csv", input="select 2 as n").stdout == "n\n2\n"
    with pytest.raises(InvalidOption, match="Give one query"):
        ytcaption("sql", "select 1", "--file", str(path))
    with pytest.raises(FileUnreadable, match=r"none\.sql cannot be read"):
        ytcaption("sql", "--file", str(tmp_path / "none.sql"))


@pytest.mark.slow
def test_sql_gives_rows_in_each_format(ytcaption, tmp_path: Path):
    """They go to standard output or to a file."""
    query = "select word_index as n from words order by n limit 2"
    assert json.loads(ytcaption("sql", query, "--format", "json").stdout) == [{"n": 0}, {"n": 1}]
    path = tmp_path / "rows"
    for form in ("csv", "json", "parquet", "arrow"):
        assert "2 rows written" in ytcaption("sql", query, "--format", form, "-o", str(path)).stderr
        assert ytcaption("sql", query, "--format", form).stdout_bytes.strip() == (
            path.read_bytes().strip()
        )
    with pyarrow.ipc.open_stream(path.read_bytes()) as stream:
        assert stream.read_all().to_pylist() == [{"n": 0}, {"n": 1}]
    for options in (("--csv", "--format", "json"), ("--parquet", "x", "--output", "y")):
        with pytest.raises(InvalidOption, match="Choose one format and one file"):
            ytcaption("sql", query, *options)


@pytest.mark.long
def test_lake_attach_prints_statements(ytcaption, settings: Settings):
    """There is one per line, for `duckdb -init`, and the role exists."""
    lines = ytcaption("lake", "attach").stdout.splitlines()
    assert lines[:2] == ["install ducklake;", "install postgres;"]
    assert "read_only" in lines[2] and lines[3] == "use lake;"
    drop_reader(settings)


@pytest.mark.slow
def test_sql_says_when_there_are_more_rows(ytcaption):
    """Rows are never cut off silently."""
    result = ytcaption("sql", "from words", "--limit", "3")
    assert "Only the first 3 rows" in result.stderr
    assert "Only" not in ytcaption("sql", "from words").stderr


@pytest.mark.slow
def test_sql_that_fails_is_one_sentence(ytcaption):
    """The query is invalid or takes too long, or the file cannot be written."""
    with pytest.raises(QueryError, match="nowhere does not exist"):
        ytcaption("sql", "from nowhere")
    with pytest.raises(QueryError, match=r"longer than 0\.5 s"):
        ytcaption("sql", "select count(*) from range(1000000000000)", "--timeout", "0.5")
    with pytest.raises(FileUnreadable, match="cannot be written"):
        ytcaption("sql", "select 1", "--parquet", "/nowhere/x.parquet")
    with pytest.raises(QueryError, match="Cast it"):
        ytcaption("sql", "select interval 1 month", "--parquet", "never.parquet")
    assert not Path("never.parquet").exists()


def exit_status(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> object:
    """Return the exit status of the whole command, errors included."""
    monkeypatch.setattr("sys.argv", ["ytcaption", *arguments])
    with pytest.raises(SystemExit) as ended:
        run()
    return ended.value.code


@pytest.mark.slow
@pytest.mark.parametrize(
    "query", ["from nowhere", "drop table words", "", "from words; from media"]
)
def test_invalid_sql_is_wrong_usage(
    catalog: TranscriptCatalog, monkeypatch: pytest.MonkeyPatch, capsys, query: str
):
    """The exit status is 2 with one sentence, as for a wrong option."""
    assert exit_status(monkeypatch, "sql", query) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.slow
def test_sql_on_a_damaged_library_is_a_failure(
    settings: Settings, catalog: TranscriptCatalog, monkeypatch: pytest.MonkeyPatch
):
    """The exit status is 1, because the query is valid."""
    for path in (settings.home / "objects").rglob("*.parquet"):
        path.write_bytes(b"")
    assert exit_status(monkeypatch, "sql", "from words") == 1


@pytest.mark.slow
def test_verify_repairs_from_documents(
    ytcaption, settings: Settings, request_store: RequestStore, object_store: ObjectStore
):
    """The exit status is 1 while the lake differs from the documents; --repair corrects it."""
    transcript, source, info = make_document("second")
    _complete(request_store, object_store, source.media_id, info)
    before = ytcaption("lake", "verify")
    assert before.exit_code == 1
    assert "1 transcriptions that differ from their document" in before.stdout
    assert "1 transcriptions without a document" in before.stdout
    assert ytcaption("lake", "verify", "--repair").exit_code == 0
    sound = ytcaption("lake", "verify")
    assert sound.exit_code == 0
    assert "4 files, 1 transcriptions" in sound.stdout
    catalog = TranscriptCatalog.from_settings(settings)
    assert transcript_ids(catalog) == {transcript.id}


@pytest.mark.slow
def test_verify_names_a_damaged_document(
    ytcaption, settings: Settings, request_store: RequestStore, object_store: ObjectStore
):
    """A document with other bytes is reported and cannot be repaired."""
    transcript, source, info = make_document("second")
    _complete(request_store, object_store, source.media_id, info)
    object_store.write_bytes(document_key(transcript.id), b"{}")
    result = ytcaption("lake", "verify", "--repair")
    assert result.exit_code == 1
    wrong = f"1 transcriptions whose document cannot be read: {transcript.id}"
    assert wrong in result.stdout


@pytest.mark.slow
def test_compact_reports_the_number_of_files(ytcaption, catalog: TranscriptCatalog):
    """Two transcriptions are eight files before and four after."""
    catalog.append(*make_document("second"))
    assert "Merged 8 files into 4." in ytcaption("lake", "compact").stdout
    assert len(transcript_ids(catalog)) == 2


@pytest.mark.slow
def test_view_prints_a_view_or_lists_all(ytcaption, tmp_path: Path):
    """A view takes parameters and is printed as a table, CSV or Parquet."""
    listed = ytcaption("lake", "view")
    assert all(name in listed.stdout for name in VIEWS)
    arguments = ("lake", "view", "term_trend", "terms=hello1", "since=2026-01-01")
    rows = list(csv.DictReader(io.StringIO(ytcaption(*arguments, "--csv").stdout)))
    assert [(row["month"], row["term"], row["times"]) for row in rows] == [
        ("2026-01-01", "hello1", "1")
    ]
    assert "hello1" in ytcaption(*arguments).stdout
    path = tmp_path / "terms.parquet"
    ytcaption("lake", "view", "top_terms", "--parquet", str(path), "--limit", "7")
    assert pyarrow.parquet.read_table(path).num_rows == 7


@pytest.mark.long
def test_a_wrong_view_is_refused_with_the_right_ones(ytcaption):
    """The error lists the views or the parameters, or shows how to write one."""
    with pytest.raises(QueryError, match="The views are: growth"):
        ytcaption("lake", "view", "nothing")
    with pytest.raises(InputError, match="Its parameters: since, until"):
        ytcaption("lake", "view", "growth", "colour=red")
    with pytest.raises(InputError, match="PARAMETER=VALUE"):
        ytcaption("lake", "view", "growth", "since")


@pytest.mark.slow
def test_report_is_written_and_stored(ytcaption, tmp_path: Path, object_store: ObjectStore):
    """It goes to the file and to the object store, where the API reads it."""
    path = tmp_path / "report.html"
    assert str(path) in ytcaption("report", "--output", str(path)).stderr
    assert read_report(object_store, None) == path.read_bytes()
    with pytest.raises(FileUnreadable, match="cannot be written"):
        ytcaption("report", "--output", "/nowhere/report.html")


@pytest.mark.long
def test_examples_of_the_page_on_the_lake_run(ytcaption):
    """Every SQL example and every command of the guide on SQL runs."""
    page = (ROOT / "docs" / "how-to" / "analyse-with-sql.md").read_text(encoding="utf-8")
    [examples] = re.findall(r"```sql\n(.*?)```", page, re.DOTALL)
    queries = [each for each in examples.split(";") if each.strip()]
    assert len(queries) >= 5
    for each in queries:
        ytcaption("sql", each)
    commands = re.findall(r"^ytcaption (lake view|sql) ?(.*)$", page, re.MULTILINE)
    assert len(commands) >= 6
    for command, arguments in commands:
        given = shlex.split(arguments, comments=True)
        if "--parquet" not in given:
            assert ytcaption(*command.split(), *given).exit_code == 0


def test_query_errors_are_not_input_errors():
    """The command line itself was right."""
    assert not issubclass(QueryError, InputError)


def _complete(store: RequestStore, objects: ObjectStore, media_id: str, info: MediaInfo) -> None:
    """Do what a run does: claim, store the audio and the document, complete."""
    from ytcaption.domain.media.media import StoredAudio

    transcript, source, _ = make_document("second")
    assert source.media_id == media_id
    submitted = store.submit(source, TranscriptionOptions("base")).transcription
    assert submitted.id == transcript.id
    RunStore(postgres=store.postgres).claim(transcript.id, RUN_ID, submitted.attempt)
    audio = StoredAudio(f"audio/{media_id}.m4a", "cd" * 32, 10, 15.0, "aac", "mov", 44100, 2)
    RunStore(postgres=store.postgres).audio_stored(transcript.id, RUN_ID, info, audio)
    written = objects.write_bytes(document_key(transcript.id), transcript.to_json())
    RunStore(postgres=store.postgres).transcript_stored(
        transcript.id, RUN_ID, transcript, document_key(transcript.id), written.sha256
    )
    RunStore(postgres=store.postgres).complete(transcript.id, RUN_ID)
