"""`ytcaption replay` on a real database."""

import json
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from resources.transcriptions.reads import get_transcription
from resources.transcriptions.store import RequestStore
from tests.resources.transcripts import completed
from ytcaption.domain.media.media import MediaSource
from ytcaption.domain.request import TranscriptionOptions
from ytcaption.settings.settings import Settings
from ytcaption_assets.cli.main import app


@pytest.fixture
def run(settings: Settings, monkeypatch: pytest.MonkeyPatch):
    """Return a function that runs the command with room for its table."""
    monkeypatch.setenv("COLUMNS", "200")

    def command(*arguments: str, status: int = 0) -> str:
        result = CliRunner().invoke(app, ["replay", *arguments])
        assert result.exit_code == status, result.output
        return result.output

    return command


@pytest.fixture
def id(request_store: RequestStore) -> str:
    """Return the id of a completed transcription."""
    return completed(
        request_store, MediaSource("youtube-a", "site"), TranscriptionOptions(model="base")
    )


def test_rows_that_agree_with_the_events_are_reported_in_a_sentence(run, id: str):
    """The exit status is 0."""
    output = run("--check")
    assert output == "7 events of 1 transcriptions: every row agrees with them.\n"


def test_differences_are_a_table(run, id: str, request_store: RequestStore):
    """It has the values of the row and of the events as plain text; the exit status is 1."""
    with request_store.postgres.transaction() as connection:
        connection.execute(
            "update ytcaption.transcription set language = '[b]de[/b]', word_count = 0"
        )
    output = run("--check", status=1)
    lines = [line.split() for line in output.splitlines() if id in line]
    assert [[word for word in line if word != "│"] for line in lines] == [
        [id, "language", "[b]de[/b]", "en"],
        [id, "word_count", "0", "5"],
    ]
    assert output.endswith("7 events of 1 transcriptions: 2 differences.\n")


def test_rows_are_printed(run, id: str, request_store: RequestStore):
    """Each line is one JSON object, made from the events alone."""
    (line,) = run().splitlines()
    printed = json.loads(line)
    assert printed["id"] == id
    row = get_transcription(request_store.postgres, id)
    assert printed["row"]["document_sha256"] == row.document_sha256
    assert printed["row"]["completed_at"] == str(row.completed_at)


@pytest.mark.parametrize(
    "change",
    [
        "language = null, word_count = 0",
        "status = 'failed', error_code = 'gone', attempt = 7",
        "status = 'running', heartbeat_at = now(), run_id = 'run-9', stage = 'transcription'",
        "document_sha256 = repeat('0', 64), queued_at = now()",
    ],
)
def test_rows_that_differ_are_repaired(run, id: str, request_store: RequestStore, change: str):
    """They are what the events say again; a repetition has nothing to do."""
    before = get_transcription(request_store.postgres, id)
    with request_store.postgres.transaction() as connection:
        connection.execute(f"update ytcaption.transcription set {change}")
    run("--check", status=1)
    assert run("--repair").endswith("1 repaired, 0 not.\n")
    assert "agrees" in run("--check") and "agrees" in run("--repair")
    after = get_transcription(request_store.postgres, id)
    assert after == replace(before, updated_at=after.updated_at)


def test_a_row_without_events_is_recorded(run, id: str, request_store: RequestStore):
    """As it is: events are never deleted."""
    with request_store.postgres.transaction() as connection:
        for statement in (
            "alter table ytcaption.event disable trigger event_is_append_only",
            "delete from ytcaption.event",
            "alter table ytcaption.event enable trigger event_is_append_only",
        ):
            connection.execute(statement)
    run("--check", status=1)
    run("--repair")
    assert "1 events of 1 transcriptions: every row agrees" in run("--check")


def test_a_missing_row_is_left_with_the_reason(run, id: str, request_store: RequestStore):
    """Its options are in no event."""
    with request_store.postgres.transaction() as connection:
        connection.execute("delete from ytcaption.transcription")
    output = run("--repair", status=1)
    assert "0 repaired, 1 not." in output
    assert f"{id}: The row is missing" in output
