"""What docs/architecture.md says about the tree is true."""

import re
import tomllib

import pytest

from tests.support.paths import ROOT

pytestmark = pytest.mark.unit

PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
PATHS = sorted(
    {text for text in re.findall(r"`([\w./-]+)`", PAGE) if "/" in text and not text.startswith("/")}
    | set(re.findall(r"`([\w-]+\.(?:toml|md))`", PAGE))
    | {text for text in re.findall(r"\[\"([\w./]+)", PAGE) if "/" in text}
)
LAYERS = next(
    contract["layers"]
    for contract in tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"][
        "importlinter"
    ]["contracts"]
    if contract.get("containers") == ["resources"]
)


@pytest.mark.parametrize("path", PATHS)
def test_every_path_exists(path: str) -> None:
    """A file that is moved or renamed is moved on the page, too."""
    assert (ROOT / path).exists()


def test_the_floor_plan_is_that_of_the_import_contract() -> None:
    """The drawing has each room of `pyproject.toml` on its floor, and no other."""
    drawn = {
        int(number): set(rooms.split(", "))
        for number, rooms in re.findall(r'floor(\d)\["<b>\1: [^<]*</b><br/>(.*)"\]\n', PAGE)
    }
    floors = {
        len(LAYERS) - place: {room.strip() for room in layer.split("|")}
        for place, layer in enumerate(LAYERS)
    }
    assert drawn == floors


def test_every_room_is_described() -> None:
    """Each room and module of `resources/` has a row that says what it is for."""
    rows = set(re.findall(r"^\| `resources/(\w+)(?:/|\.py)` \|", PAGE, re.MULTILINE))
    rooms = {room.strip() for layer in LAYERS for room in layer.split("|")}
    assert rows == rooms


def test_the_table_of_changes_is_large_enough() -> None:
    """At least twenty kinds of change are named, each with a file that exists."""
    _, _, changes = PAGE.partition("## What do I change")
    rows = re.findall(r"^\| (?!I want to|---)(.+?) \| (.+) \|$", changes, re.MULTILINE)
    assert len(rows) >= 20
    assert [what for what, where in rows if not re.search(r"`[\w/]+(?:\.\w+|/)`", where)] == []
