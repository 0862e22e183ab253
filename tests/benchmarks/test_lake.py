"""The benchmark of the lake: its rows, and that both sides answer the same questions alike."""

from pathlib import Path
from typing import Any

import pytest

from benchmarks.lake import benchmark_queries
from benchmarks.lake_library import fill
from benchmarks.lake_peer import PlainParquet
from resources.lake.catalog import TranscriptCatalog
from resources.lake.connection import LakeConnection
from ytcaption.settings.settings import Settings

TRANSCRIPTS = 48


@pytest.mark.slow
def test_lake_and_plain_files_give_the_same_rows(settings: Settings, tmp_path: Path):
    """Every question, and there is something to count in each view."""
    text = [f"the {number % 7} kings of {number % 11} lords - and -" for number in range(400)]
    lake, catalog = LakeConnection(settings), TranscriptCatalog.from_settings(settings)
    fill(lake, text, TRANSCRIPTS)
    peer = PlainParquet(lake, tmp_path / "plain")
    for label, query in benchmark_queries().items():
        ours, plain = query.ours(catalog).table.to_pylist(), query.plain(peer).to_pylist()
        assert [_rounded(row) for row in ours] == [_rounded(row) for row in plain], label
        # The one transcript and the one day are those of a large library.
        assert ours or label in ("one transcript", "first_mentions"), label
    [row] = catalog.query("select count(*), sum(segment_count), sum(word_count) from library").rows
    assert row == (TRANSCRIPTS, TRANSCRIPTS * 200, TRANSCRIPTS * 200 * 9)


def _rounded(row: dict[str, Any]) -> dict[str, Any]:
    """Sums of numbers depend on their order."""
    return {
        name: round(value, 6) if isinstance(value, float) else value for name, value in row.items()
    }
