"""The benchmark of the lake: its rows, and that both sides answer the same questions alike."""

from pathlib import Path
from typing import Any

import pytest

from benchmarks.lake import benchmark_queries
from benchmarks.lake_library import fill
from benchmarks.lake_load import Timing
from benchmarks.lake_peer import PlainParquet
from benchmarks.lake_report import Measurements, fresh_table, growth_table, size_table
from resources.lake.catalog import TranscriptCatalog
from resources.lake.connection import LakeConnection
from ytcaption.settings.settings import Settings

TRANSCRIPTS = 48


def test_each_table_can_be_drawn() -> None:
    """Of measurements of two sizes by one client."""
    timing = Timing(0.2, 0.3, 0.1)
    measured = Measurements(
        {"select 1": {1: timing}}, {"select 1": {1: timing}}, {"select 1": (timing, timing)}
    )
    assert size_table(measured, [1]).row_count == 1
    assert fresh_table(measured, 100).row_count == 1
    assert growth_table({10: measured, 100: measured}, 1).row_count == 1


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
