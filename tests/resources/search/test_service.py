"""Search on a real database."""

from collections.abc import Callable
from datetime import date

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from resources.postgres.connection import Postgres
from resources.search import cost as search_cost
from resources.search import keyword as search_keyword
from resources.search.results import SearchResults
from resources.search.scope import SearchFilter
from resources.search.service import Search
from resources.transcriptions.store import RequestStore
from tests.support.library import add_said
from tests.support.servers.postgres_servers import SERVERS
from tests.support.transcripts import SPOKEN
from ytcaption.domain.caller import LOCAL, Caller
from ytcaption.domain.errors import InvalidSearch, SearchTooBroad
from ytcaption.settings.settings import Settings

ANN = Caller("key:ann", frozenset({"read"}))
BEN = Caller("key:ben", frozenset({"read"}))


@pytest.fixture
def search(settings: Settings) -> Search:
    """Return a search with the API's rights."""
    return Search(Postgres.from_settings(settings, "api"))


def names(page: SearchResults) -> list[str | None]:
    """Return the titles in order."""
    return [result.media.title for result in page.items]


def marked(page: SearchResults) -> list[str]:
    """Return all marked texts."""
    return [
        hit.segment.text[start:end]
        for result in page.items
        for hit in result.segments
        for start, end in hit.segment.marks
    ]


LANGUAGES: list[tuple[str | None, str, str, list[str]]] = [
    ("en", "The dogs were RUNNING home", "run dog", ["dogs", "RUNNING"]),
    ("en", "We don’t “quote” naïve Cafés", "cafe naive", ["naïve", "Cafés"]),
    ("de", "Die Häuser am Fluß", "haus", ["Häuser"]),
    ("de", "ÜBUNG macht den Meister", "übungen meister", ["ÜBUNG", "Meister"]),
    ("fr", "l'accident a eu lieu", "accidents", ["l'accident"]),
    ("es", "las canciones", "canción", ["canciones"]),
    ("ru", "Бедняга ребят на его месте", "места", ["месте"]),
    ("zh", "广州市房地产中介协会分析", "房地产", ["房地产"]),
    ("ja", "客観的実在の判断的知識が成立するのである。", "知識 実在", ["実在", "知識"]),
    ("ja", "ﾊﾝｶｸ と 全角", "ハンカク", []),
    ("ko", "그는 이리저리 피하면서 걸어갔다.", "이리저리", ["이리저리"]),
    ("th", "สวัสดีครับทุกคน", "ครับ", ["ครับ"]),
    ("zh", "我的 iPhone手机 坏了", "iphone手机", ["iPhone手机"]),
    ("xx", "Klingon words stay", "klingon", ["Klingon"]),
    (None, "no language known", "language", ["language"]),
]
"""Language, spoken text, query, and the texts marked for it."""


@pytest.mark.parametrize("database_server", SERVERS, indirect=True)
@pytest.mark.long
def test_words_are_found_in_their_language(request_store: RequestStore, search: Search) -> None:
    """In other forms and case, without accents, in scripts without spaces; and marked."""
    for number, (language, spoken, _, _) in enumerate(LANGUAGES):
        add_said(request_store, f"n{number}", spoken, language=language)
    for number, (_, spoken, query, marks) in enumerate(LANGUAGES):
        page = search.page(query, filter=SearchFilter(media_id=f"url-n{number}"))
        assert (spoken, marked(page)) == (spoken, marks)
        assert names(page) == [f"n{number}"]


def test_each_language_has_its_own_forms(request_store: RequestStore, search: Search) -> None:
    """A search covers all languages, without mixing their word forms."""
    add_said(request_store, "english", "in that case", language="en")
    add_said(request_store, "italian", "le case sono belle", language="it")
    add_said(request_store, "spanish", "la casa es bonita", language="es")
    assert sorted(filter(None, names(search.page("casa")))) == ["italian", "spanish"]
    assert names(search.page("casa", filter=SearchFilter(language="it"))) == ["italian"]


OPERATORS = [
    ("country", True),
    ('"fellow Americans"', True),
    ('"americans fellow"', False),
    ("americans country", True),
    ("nothing OR country", True),
    ("fellow -country", False),
    ("fellow -elephants", True),
    ("countr*", True),
    ('"do for your countr"*', True),
    ('"do for you ask what you"', True),
    ('"what you can do for your country"', True),
    ('"what can you do for your country"', False),
    ("what is the country of the americans", True),
    ("nothing", False),
]
"""Query, and whether it finds `SPOKEN`."""


def test_operators(request_store: RequestStore, search: Search) -> None:
    """Phrases, also across two segments, alternatives, exclusion and prefixes."""
    add_said(request_store, "one", *SPOKEN)
    wrong = [
        query for query, is_found in OPERATORS if bool(search.page(query).items) is not is_found
    ]
    assert wrong == []


def test_match_across_two_segments_counts_once(request_store: RequestStore, search: Search) -> None:
    """A word at the beginning of a segment belongs to that segment, not to the one before."""
    add_said(request_store, "one", "first of all", "wonderful things", "at last")
    [result] = search.page("wonderful").items
    assert [hit.segment.index for hit in result.segments] == [1]
    assert result.hit_count == 1
    [hit] = result.segments
    assert (hit.before and hit.before.text, hit.after and hit.after.text) == (
        "first of all",
        "at last",
    )


def test_some_words_suffice_if_no_segment_has_all(
    request_store: RequestStore, search: Search
) -> None:
    """A note says so; without any match nothing is found."""
    add_said(request_store, "one", "dinosaurs had feathers", "in those days", "as birds that fly")
    page = search.page("dinosaurs fly")
    assert [hit.segment.index for hit in page.items[0].segments] == [0, 2]
    assert "some of them" in page.notes[0]
    assert search.page("dinosaurs feathers").notes == ()
    assert search.page("elephants whales").notes == ()


def test_only_readable_texts_are_found(request_store: RequestStore, search: Search) -> None:
    """Callers find their own requests, an admin all."""
    add_said(request_store, "hers", "shared words", owner="key:ann")
    add_said(request_store, "his", "shared words", owner="key:ben")
    assert names(search.page("shared", ANN)) == ["hers"]
    assert names(search.page("shared", BEN)) == ["his"]
    assert len(search.page("shared").items) == 2
    assert search.page("shared", ANN).channels[0].media_count == 1


def test_only_the_newest_version_is_searched(request_store: RequestStore, search: Search) -> None:
    """The newest that the caller may read; a translation is a separate text."""
    add_said(request_store, "one", "an old mistake", model="tiny", owner="key:ann")
    add_said(request_store, "one", "a new wording", model="base", owner="key:ben")
    add_said(request_store, "one", "a translated wording", language="de", task="translate")
    assert not search.page("mistake").items
    assert search.page("mistake", ANN).items
    assert search.page("wording").media_count == 1


def test_only_completed_transcriptions_are_found(
    request_store: RequestStore, search: Search
) -> None:
    """Erased ones and drafts are not found either."""
    id = add_said(request_store, "one", "some words")
    with request_store.postgres.transaction() as connection:
        connection.execute("update ytcaption.transcription set status = 'failed'")
    assert not search.page("words").items
    with request_store.postgres.transaction() as connection:
        connection.execute("update ytcaption.transcription set status = 'completed'")
        connection.execute(
            "insert into ytcaption.tombstone (id_sha256) "
            "values (encode(sha256(convert_to(%s, 'UTF8')), 'hex'))",
            (id,),
        )
    assert not search.page("words").items


FILTERS = [
    (SearchFilter(channel="UC1"), ["a"]),
    (SearchFilter(channel="second"), ["b"]),
    (SearchFilter(media_id="url-c"), ["c"]),
    (SearchFilter(published_from=date(2026, 2, 1)), ["c", "b"]),
    (SearchFilter(published_to=date(2026, 1, 31)), ["a"]),
    (SearchFilter(sources=("manual_captions",)), ["c"]),
    (SearchFilter(sources=("manual_captions", "asr"), channel="Second"), ["b"]),
    (SearchFilter(language="fr"), []),
]


def test_filters(request_store: RequestStore, search: Search) -> None:
    """Filters combine with each other and with the query."""
    add_said(request_store, "a", "words", channel="First", channel_id="UC1", published="2026-01-31")
    add_said(request_store, "b", "words", channel="Second", published="2026-02-01")
    add_said(
        request_store, "c", "words", channel=None, published="2026-03-01", source="manual_captions"
    )
    for filter, expected in FILTERS:
        page = search.page("words", filter=filter, order="recency")
        assert (filter, names(page)) == (filter, expected)


@pytest.mark.long
def test_orders_pages_and_counts(request_store: RequestStore, search: Search) -> None:
    """The best, newest or oldest first; each media item once over all pages; counts cover all."""
    for number in range(1, 8):
        texts = ["words"] * (number if number < 5 else 1)
        add_said(
            request_store,
            f"n{number}",
            *texts,
            published=f"2026-0{number}-01",
            channel="Odd" if number % 2 else "Even",
        )
    assert names(search.page("words"))[:2] == ["n4", "n3"]
    assert names(search.page("words", order="recency"))[0] == "n7"
    assert names(search.page("words", order="time"))[0] == "n1"
    for order in ("relevance", "recency", "time"):
        seen, after = [], None
        while True:
            page = search.page("words", order=order, after=after, limit=3)
            seen += names(page)
            assert (page.media_count, page.hit_count) == (7, 13)
            if (after := page.last) is None:
                break
        assert sorted(filter(None, seen)) == [f"n{number}" for number in range(1, 8)]
    page = search.page("words", limit=1)
    assert [(each.channel, each.media_count, each.hit_count) for each in page.channels] == [
        ("Odd", 4, 6),
        ("Even", 3, 7),
    ]
    assert [each.month for each in page.months][:2] == ["2026-07", "2026-06"]


@pytest.fixture
def low_limits(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Make any word count as common, and four transcripts as many."""
    for name, value in (("MIN_MATCHES", 3), ("MAX_SEGMENTS", 5), ("FEW_MATCHES", 0)):
        monkeypatch.setattr(search_keyword, name, value)
    for name in ("MIN_DOCUMENTS", "MAX_DOCUMENTS"):
        monkeypatch.setattr(search_cost, name, 4)
    return monkeypatch


@pytest.mark.parametrize("is_read", [True, False])
@pytest.mark.parametrize("caller", [LOCAL, ANN])
def test_common_words_are_searched_in_the_newest(
    request_store: RequestStore,
    search: Search,
    low_limits: pytest.MonkeyPatch,
    caller: Caller,
    is_read: bool,
) -> None:
    """The search ends with enough matches and says that it is not complete, whether it reads the
    index or the rows."""
    low_limits.setattr(search_cost, "_READ_US", 0.0 if is_read else 1e9)
    for number in range(1, 7):
        add_said(request_store, f"n{number}", "words", published=f"2026-0{number}-01")
    with request_store.postgres.transaction() as connection:
        connection.execute("update ytcaption.request set owner = 'key:ann'")
    page = search.page("words", caller, order="recency")
    assert names(page) == ["n6", "n5", "n4", "n3"]
    assert not page.is_complete
    assert "only the newest are ranked" in page.notes[-1]
    low_limits.setattr(search_keyword, "MAX_SEGMENTS", 40)
    low_limits.setattr(search_cost, "MAX_DOCUMENTS", 20)
    low_limits.setattr(search_cost, "MIN_DOCUMENTS", 20)
    page = search.page("words", caller)
    assert len(names(page)) == 6
    assert page.is_complete


@pytest.mark.parametrize("caller", [LOCAL, ANN])
def test_older_transcripts_are_searched_if_the_newest_have_no_match(
    request_store: RequestStore, search: Search, low_limits: pytest.MonkeyPatch, caller: Caller
) -> None:
    """However common the word was estimated to be."""
    for number in range(1, 9):
        text = "something old" if number == 1 else "words"
        add_said(request_store, f"n{number}", text, published=f"2026-0{number}-01")
    with request_store.postgres.transaction() as connection:
        connection.execute("update ytcaption.request set owner = 'key:ann'")
    page = search.page("something", caller)
    assert names(page) == ["n1"]
    assert page.is_complete


def test_time_is_limited(
    request_store: RequestStore, search: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A search that takes too long is refused with advice."""
    add_said(request_store, "one", *["words words"] * 400)
    monkeypatch.setattr(search_keyword, "TIMEOUT_MS", 1)
    with pytest.raises(SearchTooBroad, match="Add a word"):
        for _ in range(20):
            search.page("wor*")


def test_stop_words_alone_are_reported(request_store: RequestStore, search: Search) -> None:
    """Stop words alone find nothing, with a note; next to other words they do no harm."""
    add_said(request_store, "one", SPOKEN[0])
    page = search.page("the")
    assert (page.items, page.is_complete) == ((), True)
    assert "too common" in page.notes[0]
    assert search.page("what the country").items
    assert not search.page("the -country").items


@given(st.text(st.characters() | st.sampled_from("\"'-|*:&!()<>\\@ \x00京のé"), max_size=40))
@hypothesis_settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@pytest.mark.long
def test_any_text_is_a_valid_query_or_an_error(search: Search, text: str) -> None:
    """Any text returns a page or an error message."""
    try:
        search.page(text)
    except InvalidSearch as error:
        assert error.message


@pytest.mark.long
def test_long_and_odd_texts_are_kept(request_store: RequestStore, search: Search) -> None:
    """Texts that no index accepts are stored all the same."""
    text = "x" * 3_000 + " " + "word " * 30_000
    add_said(request_store, "one", text, "\x00 control", "「」", "'quote \\ back")
    assert names(search.page("word")) == ["one"]
    assert names(search.page("quote back")) == ["one"]


def test_library_from_before_the_migration_is_searchable(
    request_store: RequestStore, search: Search, apply_migration_again: Callable[[], None]
) -> None:
    """The migration fills the search columns of existing segments."""
    add_said(request_store, "one", "The dogs were", "running home", published="2026-01-02")
    before = request_store.postgres.rows("select * from ytcaption.segment order by index", {})
    apply_migration_again()
    after = request_store.postgres.rows("select * from ytcaption.segment order by index", {})
    assert after == before
    [row] = request_store.postgres.rows("select published_on from ytcaption.transcription", {})
    assert row["published_on"] == "2026-01-02"


@pytest.fixture
def apply_migration_again(request_store: RequestStore) -> Callable[[], None]:
    """Run the migration's statements that fill rows again, on rows without those values."""
    from resources.postgres.migrate import migrations

    [migration] = [each for each in migrations() if each.number == 13]
    updates = [
        statement[statement.index("update ytcaption.") :]
        for statement in migration.statements.split(";")
        if "\nupdate ytcaption." in statement
    ]
    assert len(updates) == 2

    def apply() -> None:
        with request_store.postgres.transaction() as connection:
            connection.execute("update ytcaption.segment set tsv = '', language = null")
            connection.execute("update ytcaption.transcription set published_on = null")
            for update in updates:
                connection.execute(update)

    return apply
