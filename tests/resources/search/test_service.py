"""Finding what was said, on a real database."""

from collections.abc import Callable
from datetime import date

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from resources.postgres.connection import Postgres
from resources.search import cost as search_commonness
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
from ytcaption.settings import Settings

ANN = Caller("key:ann", frozenset({"read"}))
BEN = Caller("key:ben", frozenset({"read"}))


@pytest.fixture
def search(settings: Settings) -> Search:
    """With the API's rights."""
    return Search(Postgres.from_settings(settings, "api"))


def names(page: SearchResults) -> list[str | None]:
    """Titles, in their order."""
    return [found.media.title for found in page.items]


def marked(page: SearchResults) -> list[str]:
    """All that is marked."""
    return [
        hit.spoken.text[start:end]
        for found in page.items
        for hit in found.segments
        for start, end in hit.spoken.marks
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
"""Language, what is said, what is typed, and what is marked then."""


@pytest.mark.parametrize("database_server", SERVERS, indirect=True)
def test_words_are_found_in_their_language(request_store: RequestStore, search: Search) -> None:
    """In other forms, other case, without accents, in scripts without spaces; and are marked."""
    for number, (language, said, _, _) in enumerate(LANGUAGES):
        add_said(request_store, f"n{number}", said, language=language)
    for number, (_, said, asked, marks) in enumerate(LANGUAGES):
        page = search.page(asked, filter=SearchFilter(media_id=f"url-n{number}"))
        assert (said, marked(page)) == (said, marks)
        assert names(page) == [f"n{number}"]


def test_each_language_has_its_own_forms(request_store: RequestStore, search: Search) -> None:
    """A search is in all of them at once, and takes no word of one for a form of another's."""
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
"""What is typed, and whether it finds `SPOKEN`."""


def test_operators(request_store: RequestStore, search: Search) -> None:
    """Phrases, also across two segments, alternatives, exclusion and beginnings."""
    add_said(request_store, "one", *SPOKEN)
    wrong = [asked for asked, found in OPERATORS if bool(search.page(asked).items) is not found]
    assert wrong == []


def test_what_is_found_across_two_segments_is_found_once(
    request_store: RequestStore, search: Search
) -> None:
    """A word at the beginning of a segment is that segment's, not the one's before."""
    add_said(request_store, "one", "first of all", "wonderful things", "at last")
    [found] = search.page("wonderful").items
    assert [hit.spoken.index for hit in found.segments] == [1]
    assert found.hit_count == 1
    [hit] = found.segments
    assert (hit.before and hit.before.text, hit.after and hit.after.text) == (
        "first of all",
        "at last",
    )


def test_where_no_place_has_all_words_some_will_do(
    request_store: RequestStore, search: Search
) -> None:
    """And a note says so; where none of them is anywhere, nothing is found."""
    add_said(request_store, "one", "dinosaurs had feathers", "in those days", "as birds that fly")
    page = search.page("dinosaurs fly")
    assert [hit.spoken.index for hit in page.items[0].segments] == [0, 2]
    assert "some of them" in page.notes[0]
    assert search.page("dinosaurs feathers").notes == ()
    assert search.page("elephants whales").notes == ()


def test_only_what_may_be_read_is_found(request_store: RequestStore, search: Search) -> None:
    """Each finds what they have asked for, an admin all (rules 12, 30)."""
    add_said(request_store, "hers", "shared words", owner="key:ann")
    add_said(request_store, "his", "shared words", owner="key:ben")
    assert names(search.page("shared", ANN)) == ["hers"]
    assert names(search.page("shared", BEN)) == ["his"]
    assert len(search.page("shared").items) == 2
    assert search.page("shared", ANN).channels[0].media_count == 1


def test_only_the_newest_version_is_searched(request_store: RequestStore, search: Search) -> None:
    """Of those that the caller may read; a translation is a text of its own."""
    add_said(request_store, "one", "an old mistake", model="tiny", owner="key:ann")
    add_said(request_store, "one", "a new wording", model="base", owner="key:ben")
    add_said(request_store, "one", "a translated wording", language="de", task="translate")
    assert not search.page("mistake").items
    assert search.page("mistake", ANN).items
    assert search.page("wording").media_count == 1


def test_what_is_not_completed_is_not_found(request_store: RequestStore, search: Search) -> None:
    """Nor what was erased, nor drafts."""
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
    """Hold together, and with the search."""
    add_said(request_store, "a", "words", channel="First", channel_id="UC1", published="2026-01-31")
    add_said(request_store, "b", "words", channel="Second", published="2026-02-01")
    add_said(
        request_store, "c", "words", channel=None, published="2026-03-01", source="manual_captions"
    )
    for filter, found in FILTERS:
        page = search.page("words", filter=filter, order="recency")
        assert (filter, names(page)) == (filter, found)


def test_orders_pages_and_counts(request_store: RequestStore, search: Search) -> None:
    """The best, the newest or the oldest first; pages hold each media once; counts are of all."""
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
def common(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Anything counts as common, and four transcripts as many."""
    for name, value in (("SOME", 3), ("MOST_SEGMENTS", 5), ("LITTLE", 0)):
        monkeypatch.setattr(search_keyword, name, value)
    for name in ("LEAST", "MOST"):
        monkeypatch.setattr(search_commonness, name, 4)
    return monkeypatch


@pytest.mark.parametrize("is_read", [True, False])
@pytest.mark.parametrize("caller", [LOCAL, ANN])
def test_what_is_too_common_is_looked_for_in_the_newest(
    request_store: RequestStore,
    search: Search,
    common: pytest.MonkeyPatch,
    caller: Caller,
    is_read: bool,
) -> None:
    """Until there is enough; that it is not all is told. Whether the index is read or the rows are
    makes no difference."""
    common.setattr(search_commonness, "_READ_US", 0.0 if is_read else 1e9)
    for number in range(1, 7):
        add_said(request_store, f"n{number}", "words", published=f"2026-0{number}-01")
    with request_store.postgres.transaction() as connection:
        connection.execute("update ytcaption.request set owner = 'key:ann'")
    page = search.page("words", caller, order="recency")
    assert names(page) == ["n6", "n5", "n4", "n3"]
    assert not page.is_complete
    assert "the newest first" in page.notes[-1]
    common.setattr(search_keyword, "MOST_SEGMENTS", 40)
    common.setattr(search_commonness, "MOST", 20)
    common.setattr(search_commonness, "LEAST", 20)
    page = search.page("words", caller)
    assert len(names(page)) == 6
    assert page.is_complete


@pytest.mark.parametrize("caller", [LOCAL, ANN])
def test_what_the_newest_do_not_say_is_found_in_older_ones(
    request_store: RequestStore, search: Search, common: pytest.MonkeyPatch, caller: Caller
) -> None:
    """However common it was thought to be."""
    for number in range(1, 9):
        text = "something old" if number == 1 else "words"
        add_said(request_store, f"n{number}", text, published=f"2026-0{number}-01")
    with request_store.postgres.transaction() as connection:
        connection.execute("update ytcaption.request set owner = 'key:ann'")
    page = search.page("something", caller)
    assert names(page) == ["n1"]
    assert page.is_complete


def test_time_is_bounded(
    request_store: RequestStore, search: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A search that takes too long is refused with what to do."""
    add_said(request_store, "one", *["words words"] * 400)
    monkeypatch.setattr(search_keyword, "TIMEOUT_MS", 1)
    with pytest.raises(SearchTooBroad, match="Add a word"):
        for _ in range(20):
            search.page("wor*")


def test_words_that_nothing_is_looked_for_by_are_told(
    request_store: RequestStore, search: Search
) -> None:
    """Stop words alone find nothing, and the page says why; beside others they do no harm."""
    add_said(request_store, "one", SPOKEN[0])
    page = search.page("the")
    assert (page.items, page.is_complete) == ((), True)
    assert "so common" in page.notes[0]
    assert search.page("what the country").items
    assert not search.page("the -country").items


@given(st.text(st.characters() | st.sampled_from("\"'-|*:&!()<>\\@ \x00京のé"), max_size=40))
@hypothesis_settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_no_text_breaks_a_search(search: Search, text: str) -> None:
    """Any text gives a page or a sentence."""
    try:
        search.page(text)
    except InvalidSearch as error:
        assert error.message


def test_long_and_odd_texts_are_kept(request_store: RequestStore, search: Search) -> None:
    """What no index takes is stored all the same."""
    long = "x" * 3_000 + " " + "word " * 30_000
    add_said(request_store, "one", long, "\x00 control", "「」", "'quote \\ back")
    assert names(search.page("word")) == ["one"]
    assert names(search.page("quote back")) == ["one"]


def test_a_library_of_before_is_searched(
    request_store: RequestStore, search: Search, apply_anew: Callable[[], None]
) -> None:
    """The migration gives segments that are there what they are found by."""
    add_said(request_store, "one", "The dogs were", "running home", published="2026-01-02")
    before = request_store.postgres.rows("select * from ytcaption.segment order by index", {})
    apply_anew()
    after = request_store.postgres.rows("select * from ytcaption.segment order by index", {})
    assert after == before
    [row] = request_store.postgres.rows("select published_on from ytcaption.transcription", {})
    assert row["published_on"] == "2026-01-02"


@pytest.fixture
def apply_anew(request_store: RequestStore) -> Callable[[], None]:
    """The statements of the migration that fill rows, once more on rows that lack them."""
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
