"""The reference is true."""

import os
import re
import subprocess

import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from api.http.errors import HTTP_CODES
from docs.tools.reference import stale
from tests.api.conftest import World
from tests.api.http.test_errors import every_error
from tests.support.paths import ROOT
from tests.support.transcripts import transcript_of
from ytcaption.domain.captions.formats import CaptionFormat, render
from ytcaption.domain.event_projection import REPLAYED
from ytcaption.domain.events import EventType

REFERENCE = ROOT / "docs" / "reference"

# Never answered by the API, nor recorded of a run.
INSIDE_ONLY = {
    "error", "invalid_input", "file_unreadable", "state_error", "transcription_busy", "claim_lost",
}  # fmt: skip


def page(name: str) -> str:
    """A page of the reference."""
    return (REFERENCE / name).read_text(encoding="utf-8")


@pytest.mark.long
def test_generated_pages_are_current(monkeypatch: pytest.MonkeyPatch) -> None:
    """`make docs-reference` would change nothing."""
    for name in list(os.environ):
        if name.startswith("YTCAPTION_"):
            monkeypatch.delenv(name)
    assert stale() == []


def test_every_code_is_documented() -> None:
    """The page lists each code that a client can meet."""
    text = page("errors.md")
    codes = {kind.code for kind in every_error()} - INSIDE_ONLY | set(HTTP_CODES.values())

    assert {code for code in codes if f"`{code}`" not in text} == set()


@pytest.mark.long
def test_every_route_and_format_is_documented(client: TestClient) -> None:
    """The page lists every operation of the OpenAPI document."""
    routes, captions = page("http-api.md"), page("captions.md")
    for path, item in client.get("/openapi.json").json()["paths"].items():
        for method in item:
            assert f"### `{method.upper()} {path}`" in routes
    assert all(f"`{format.value}`" in captions for format in CaptionFormat)


def test_every_kind_of_event_is_documented() -> None:
    """With the columns that follow from them, and those that do not."""
    text = page("events.md")
    assert {each.value for each in EventType if f"`{each.value}`" not in text} == set()
    _, compared, other = re.split(r"Compared are|Not compared", text)
    assert [name for name in REPLAYED if f"`{name}`" not in compared] == []
    assert [name for name in REPLAYED if f"`{name}`" in other.partition("\n\n")[0]] == []


def test_every_metric_is_documented(client: TestClient, world: World) -> None:
    """The page lists what `/metrics` gives of an installation that has worked."""
    world.completed()
    text = page("metrics.md")
    families = list(text_string_to_metric_families(client.get("/metrics").text))
    names = {sample.name for family in families for sample in family.samples}
    names = {re.sub(r"_(bucket|count|sum|created)$", "", name) for name in names}
    assert len(names) > 10
    assert {name for name in names if f"`{name}`" not in text} == set()


@pytest.mark.slow
def test_the_curl_example_prints_captions(server_url: str, world: World) -> None:
    """`examples/api.sh` requests, polls and downloads over real HTTP."""
    id = world.completed()

    done = subprocess.run(
        [str(ROOT / "examples" / "api.sh"), "https://youtu.be/dQw4w9WgXcQ", "vtt"],
        env=os.environ | {"API": server_url},
        capture_output=True,
        text=True,
        timeout=30,
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout == render(transcript_of(id), CaptionFormat.VTT)
    assert done.stderr.startswith("completed")


@pytest.mark.long
def test_the_curl_example_says_why_it_failed(server_url: str) -> None:
    """A refusal is printed and the exit status is not 0."""
    done = subprocess.run(
        [str(ROOT / "examples" / "api.sh"), "https://example.com/a\".html?b='c"],
        env=os.environ | {"API": f"{server_url}/nothing"},
        capture_output=True,
        text=True,
        timeout=30,
    )

    assert done.returncode != 0
    assert "404" in done.stderr
    assert "There is nothing at this address." in done.stderr
