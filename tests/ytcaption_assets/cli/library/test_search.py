"""`ytcaption search`."""

import json

import pytest
from typer.testing import CliRunner

from resources.transcriptions.store import RequestStore
from tests.support.library import add_said
from tests.support.transcripts import SPOKEN
from ytcaption.domain.errors import InvalidOption, InvalidSearch
from ytcaption_assets.cli.main import app


def run(*arguments: str):
    """Run the command."""
    return CliRunner().invoke(app, ["search", *arguments])


def test_hits_are_shown_with_their_time(request_store: RequestStore) -> None:
    """Each hit is a line; the counts go to standard error."""
    add_said(request_store, "one", SPOKEN[1], *SPOKEN, title="\x1b[31mone")
    result = run("your", "country")
    assert result.exit_code == 0
    assert "2026-11-24 · en · 3 hits" in result.stdout
    assert "0:10  ask what you can do for your country." in result.stdout
    assert "\x1b[31mone" not in result.stdout
    assert "3 hits in 1 media item" in result.stderr


def test_json_is_one_line_per_media(request_store: RequestStore) -> None:
    """Each hit has the URL that opens it."""
    add_said(request_store, "one", *SPOKEN)
    result = run('"do for your country"', "--json", "--channel", "jfk library")
    [line] = result.stdout.splitlines()
    [hit] = json.loads(line)["hits"]
    assert hit["url"] == "https://example.org/one.mp3#t=5"


def test_no_results_is_status_1(request_store: RequestStore) -> None:
    """The counts are printed all the same."""
    add_said(request_store, "one", *SPOKEN)
    result = run("elephants", "--from", "2026-01-01", "--sort", "recency")
    assert result.exit_code == 1
    assert "0 hits in 0 media items" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("--", "-country"), InvalidSearch),
        (("country", "--source", "hearsay"), InvalidOption),
        (("country", "--sort", "size"), InvalidOption),
    ],
)
def test_an_invalid_search_is_refused(
    request_store: RequestStore, arguments: tuple[str, ...], error: type[Exception]
) -> None:
    """The error is a sentence."""
    assert isinstance(run(*arguments).exception, error)
