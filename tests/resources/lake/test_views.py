"""Results of the lake's views over a library with known numbers."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from resources.lake.files import LakeFile, LakeFiles
from resources.lake.query import LEAST_MEMORY_BYTES, QueryResult, run_query
from resources.lake.views import OPTIMIZERS_OFF, VIEWS
from tests.support.lake_documents import make_document
from tests.support.paths import ROOT
from ytcaption.domain.transcripts.lake_rows import lake_rows
from ytcaption.domain.transcripts.lake_schema import TABLES
from ytcaption.domain.transcripts.timings import Timings

QUEUED_AT = datetime(2026, 11, 24, 9, 59, tzinfo=UTC)
TIMINGS = Timings(QUEUED_AT, QUEUED_AT + timedelta(seconds=12), 3.0)

LIBRARY = (
    # 0.5 s and one word each, 0.4 s of it speech
    make_document("a", words=30, text="coal", channel="North", published="2026-01-15"),
    make_document("b", words=120, text="coal", channel="South", published="2026-02-01"),
    make_document("c", words=60, text="wind", channel="North", published="2026-02-28"),
    (*make_document("d", words=60, text="viento", channel="South", language="es"), TIMINGS),
    make_document("d", words=60, text="old", model="tiny", created_at="2026-10-01T00:00:00+00:00"),
    make_document("e", words=0, channel="South", published="2026-02-10"),
)

View = Callable[..., list[dict]]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> LakeFiles:
    """Write the files of that library; as in the lake, each media item has one row."""
    folder = tmp_path_factory.mktemp("lake")
    files_by_table: dict[str, list[LakeFile]] = {table: [] for table in TABLES}
    for number, document in enumerate(LIBRARY):
        for table, rows in lake_rows(*document).items():
            if table == "media" and document[0].provenance.model == "tiny":
                continue
            path = folder / f"{table}-{number}.parquet"
            pq.write_table(rows, path)
            files_by_table[table].append(LakeFile(str(path), path.stat().st_size))
    return files_by_table


@pytest.fixture
def view(files: LakeFiles) -> View:
    """Return a function that returns a view's rows."""
    return lambda name, **arguments: run_view(files, name, **arguments).table.to_pylist()


def run_view(
    files: LakeFiles,
    name: str,
    *,
    limit: int = 1_000,
    memory_bytes: int = 1024**3,
    **arguments: str,
) -> QueryResult:
    """Run a view and check its declared columns."""
    lake_view = VIEWS[name]
    result = run_query(
        lake_view.sql,
        lambda: files,
        limit=limit,
        timeout_s=60,
        memory_bytes=memory_bytes,
        parameters=lake_view.values(arguments, limit),
        optimizers_off=OPTIMIZERS_OFF,
    )
    declared = [(column.name, column.type) for column in lake_view.columns]
    assert list(zip(result.columns, result.types, strict=True)) == declared
    return result


def test_speaking_rate_is_words_per_minute(view: View):
    """150 words per minute of speech, 120 of audio, by channel and month."""
    rows = view("speaking_rate", language="en")
    assert [(row["channel"], row["month"].month, row["words"]) for row in rows] == [
        ("North", 1, 30),
        ("North", 2, 60),
        ("South", 2, 120),
    ]
    assert {round(row["words_per_speech_minute"], 6) for row in rows} == {150.0}
    assert {round(row["words_per_minute"], 6) for row in rows} == {120.0}


@pytest.mark.long
def test_media_counts_once_by_its_newest_transcript(view: View):
    """An older model's transcript of the same media item is not counted."""
    assert view(
        "top_terms", channel="South", since="2026-01-01", min_length="1", until="2026-01-03"
    )
    assert {row["term"][:6] for row in view("top_terms", language="es")} == {"viento"}
    assert sum(row["media"] for row in view("channels")) == 5


def test_talk_share_counts_silence(view: View):
    """Four fifths of each second hold speech; a media item without speech is counted as silent."""
    rows = view("talk_share", channel="south", since="2026-02-01", until="2026-02-28")
    assert len(rows) == 1
    assert rows[0]["talk_share"] == pytest.approx(0.8)
    assert rows[0]["silence_h"] == pytest.approx(0.2 * 60 / 3600)
    assert (rows[0]["media"], rows[0]["silent_media"]) == (2, 1)


def test_language_mix_adds_up_to_one(view: View):
    """The shares of a month's audio add up to one."""
    rows = view("language_mix", since="2026-01-01", until="2026-01-31")
    assert [(row["language"], row["media"]) for row in rows] == [("es", 1), ("en", 1)]
    assert [row["share"] for row in rows] == pytest.approx([2 / 3, 1 / 3])


def test_terms_are_counted_by_month(view: View):
    """Words and pairs are counted, also in months without any, and per million words."""
    rows = view("term_trend", terms="coal7, Coal7 coal8 ,nothing", until="2026-02-28")
    assert [(row["term"], row["month"].month, row["times"], row["media"]) for row in rows] == [
        ("coal7", 1, 1, 1),
        ("coal7", 2, 1, 1),
        ("coal7 coal8", 1, 1, 1),
        ("coal7 coal8", 2, 1, 1),
        ("nothing", 1, 0, 0),
        ("nothing", 2, 0, 0),
    ]
    assert rows[0]["per_million"] == pytest.approx(1e6 / 90)
    assert rows[1]["per_million"] == pytest.approx(1e6 / 180)


@pytest.mark.long
def test_top_terms_are_words_pairs_or_triples(view: View):
    """The most frequent come first; the minimum length applies to single words only."""
    assert view("top_terms", n="3", channel="North", since="2026-02-01")[0]["term"] == (
        "wind0 wind1 wind2"
    )
    assert view("top_terms")[0] | {"per_million": 0} == {
        "term": "coal0",
        "times": 2,
        "media": 2,
        "per_million": 0,
    }
    assert view("top_terms", min_length="20") == []


@pytest.fixture(scope="module")
def many_words(tmp_path_factory: pytest.TempPathFactory) -> LakeFiles:
    """Write 1,500 transcripts of 2,000 words: in each segment of ten one pair common to all, and
    words that hardly ever follow each other twice."""
    import duckdb

    folder = tmp_path_factory.mktemp("many")
    rows = {
        "words": "select 'm' || n // 2000 as media_id, media_id || '.x' as transcription_id, "
        "(n % 2000 // 10)::integer as segment_index, (n % 2000)::integer as word_index, "
        "case n % 10 when 0 then 'alpha' when 1 then 'beta' else 'w' || hash(n) % 20000 end "
        "as word from range(3000000) as numbers (n)",
        "transcripts": "select 'm' || n as media_id, media_id || '.x' as transcription_id, "
        "'transcribe' as task, 2000 as word_count, timestamptz '2026-01-02 00:00:00+00' "
        "as created_at from range(1500) as numbers (n)",
    }
    files_by_table: dict[str, list[LakeFile]] = {table: [] for table in TABLES}
    for table, query in rows.items():
        path = folder / f"{table}.parquet"
        with duckdb.connect() as database:
            database.execute(f"copy ({query}) to '{path}' (format parquet)")
        files_by_table[table].append(LakeFile(str(path), path.stat().st_size))
    return files_by_table


@pytest.mark.slow
@pytest.mark.parametrize(("n", "term"), [("1", "alpha"), ("2", "alpha beta")])
def test_terms_of_many_words_need_little_memory(many_words: LakeFiles, n: str, term: str):
    """Two million pairs are counted in the minimum memory of a query; a result of few rows holds
    the most frequent ones."""
    minimum = LEAST_MEMORY_BYTES
    result = run_view(many_words, "top_terms", limit=1, memory_bytes=minimum, n=n, min_length="5")
    [row] = result.table.to_pylist()
    assert (row["term"], row["times"], row["media"]) == (term, 300_000, 1_500)
    assert row["per_million"] == pytest.approx(1e6 / 9, rel=0.1)
    assert result.is_truncated


@pytest.mark.long
def test_pairs_and_triples_end_with_their_segment(view: View):
    """No term extends over the end of a segment, a media item or a file."""
    pairs = {row["term"]: row for row in view("top_terms", n="2")}
    triples = {row["term"] for row in view("top_terms", n="3")}
    assert "coal8 coal9" in pairs and "coal9 coal10" not in pairs
    assert "coal7 coal8 coal9" in triples and "coal8 coal9 coal10" not in triples
    # Nine in each segment of ten words: of 30, 120, 60 and 60.
    assert sum(row["times"] for row in pairs.values()) == 27 * 9
    assert sum(row["per_million"] for row in pairs.values()) == pytest.approx(1e6)
    assert (pairs["coal7 coal8"]["times"], pairs["coal7 coal8"]["media"]) == (2, 2)


def test_first_mentions_are_sorted_by_date(view: View):
    """Each channel's first mention has the days after the very first one and its position."""
    rows = view("first_mentions", term="COAL15")
    assert [(row["channel"], row["published_on"], row["days_after_first"]) for row in rows] == [
        ("North", date(2026, 1, 15), 0),
        ("South", date(2026, 2, 1), 17),
    ]
    assert (rows[0]["start_s"], rows[0]["times"], rows[0]["title"]) == (5.0, 1, "About a")


def test_caption_quality_is_by_channel_month_and_model(view: View):
    """Shares are of segments over the limits."""
    rows = view("caption_quality", channel="North", since="2026-02-01")
    assert [(row["model"], row["segments"], row["doubtful_share"]) for row in rows] == [
        ("base", 6, 0.0)
    ]
    assert rows[0]["mean_logprob"] == pytest.approx(-0.2)


@pytest.mark.long
def test_speed_and_cost_count_timed_transcriptions(view: View):
    """3 s for 30 s of audio; without a price there is no cost."""
    [row] = view("model_speed", cost_per_hour="3600")
    assert (row["model"], row["transcriptions"]) == ("base", 1)
    assert row["rtf"] == row["rtf_p50"] == pytest.approx(0.1)
    assert row["cost"] == pytest.approx(3.0)
    assert row["cost_per_audio_h"] == pytest.approx(360.0)
    assert view("model_speed")[0]["cost"] is None
    assert view("model_speed", until="2026-11-23") == []


def test_delay_is_from_request_to_transcript(view: View):
    """Requested a minute before the transcript was ready, begun after twelve seconds."""
    [row] = view("processing_delay")
    assert row["day"] == date(2026, 11, 24)
    assert (row["wait_p50_s"], row["delay_p50_s"], row["delay_max_s"]) == (12.0, 60.0, 60.0)


def test_word_errors_are_weighted_by_words(tmp_path: Path):
    """The rate is over all words, not the mean over transcriptions."""
    import pyarrow as pa

    from ytcaption.domain.transcripts.lake_schema import arrow_schema

    table = "caption_accuracy"
    measured = [
        {"model": "base", "language": "en", "words": 10, "wer": 0.5, "substitutions": 5},
        {"model": "base", "language": "en", "words": 90, "wer": 0.1, "deletions": 9},
    ]
    path = tmp_path / f"{table}.parquet"
    rows = [{"measured_at": QUEUED_AT, "reference_kind": "track"} | each for each in measured]
    pq.write_table(pa.Table.from_pylist(rows, arrow_schema(table)), path)
    files = dict.fromkeys(TABLES, ()) | {table: (LakeFile(str(path), path.stat().st_size),)}
    [row] = run_view(files, "accuracy", limit=10, language="en").table.to_pylist()
    assert (row["transcriptions"], row["words"], row["substitutions"]) == (2, 100, 5)
    assert row["wer"] == pytest.approx(0.14)


def test_growth_adds_up(view: View):
    """Every transcription counts in its month of creation, older versions too."""
    rows = view("growth")
    assert [(row["month"].month, row["transcriptions"]) for row in rows] == [(10, 1), (11, 5)]
    assert [row["transcriptions_so_far"] for row in rows] == [1, 6]
    assert rows[1]["audio_h_so_far"] == pytest.approx(sum((30, 120, 60, 60, 60, 0)) * 0.5 / 3600)


def test_views_and_files_correspond():
    """Each view has an SQL file and each file a view."""
    folder = ROOT / "resources" / "lake" / "sql"
    assert {path.stem for path in folder.glob("*.sql")} == {
        *VIEWS,
        "accuracy",
        "library",
        "chosen",
    }
