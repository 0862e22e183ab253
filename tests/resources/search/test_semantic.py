"""Semantic and hybrid search on a real pgvector."""

from datetime import date
from itertools import pairwise
from pathlib import Path

import pytest

from resources.backup.dump import dump_databases
from resources.embeddings.backlog import EmbeddingOutcome, embed_transcript, embed_waiting
from resources.embeddings.embedder import DEFAULT_MODEL, Embedder, embedder_of
from resources.embeddings.store import EmbeddingStore
from resources.postgres.connection import Postgres
from resources.postgres.urls import database_urls
from resources.search import semantic as search_semantic
from resources.search.retriever import Mode
from resources.search.scope import SearchFilter, scope
from resources.search.semantic import SemanticRetriever
from resources.search.service import Search
from resources.transcriptions.reads import get_transcription
from resources.transcriptions.run_store import RunStore
from resources.transcriptions.store import RequestStore
from tests.resources.search.test_service import ANN, BEN, marked, names
from tests.support.embedding import ToyEmbedder, needs_model
from tests.support.library import add_said
from tests.support.servers.postgres_servers import DEBIAN_PROGRAMS
from ytcaption.domain.caller import LOCAL
from ytcaption.domain.errors import ModelUnavailable, SemanticUnavailable
from ytcaption.domain.search_query import parse_search
from ytcaption.settings.settings import Settings

TOY = ToyEmbedder(
    {
        "dog": (1, 0, 0), "puppy": (0.9, 0.1, 0), "hound": (0.8, 0.2, 0),
        "money": (0, 1, 0), "sea": (0, 0, 1),
    }
)  # fmt: skip


@pytest.fixture
def store(settings: Settings) -> EmbeddingStore:
    """Return a store with a run's rights."""
    return EmbeddingStore(Postgres.from_settings(settings, "dagster"))


@pytest.fixture
def search(settings: Settings) -> Search:
    """Return a search with the API's rights and a toy model."""
    return Search(Postgres.from_settings(settings, "api"), TOY)


def embed_all(store: EmbeddingStore, embedder: Embedder = TOY) -> list[EmbeddingOutcome]:
    return list(embed_waiting(store, embedder))


def test_similar_meaning_is_found(
    request_store: RequestStore, store: EmbeddingStore, search: Search
) -> None:
    """Without the word itself, the nearest first; with the passage's times and neighbours."""
    near = add_said(request_store, "near", *["a puppy"] * 4, *["money"] * 12)
    add_said(request_store, "nearer", "my dog")
    add_said(request_store, "far", "the sea")
    assert sorted(each.passage_count or 0 for each in embed_all(store)) == [1, 1, 5]
    page = search.page("dog", mode="semantic")
    assert names(page) == ["nearer", "near", "far"]
    assert not search.page("hound").items
    [hit, *_] = page.items[1].segments
    assert page.items[1].transcription_id == near
    assert (hit.segment.index, hit.segment.start_s, hit.segment.end_s) == (0, 0.0, 30.0)
    assert hit.segment.text == "a puppy a puppy a puppy a puppy money money"
    assert hit.before is None and hit.after is not None and hit.after.index == 6
    assert marked(search.page("money", mode="semantic"))[0] == "money"


def test_overlapping_passages_are_shown_once(
    request_store: RequestStore, store: EmbeddingStore, search: Search
) -> None:
    """The nearest of them is shown."""
    add_said(request_store, "one", *["sea"] * 6, *["dog"] * 6, *["sea"] * 12)
    embed_all(store)
    [result] = search.page("dog", mode="semantic", segments=10).items
    passages = [(each.segment.index, each.segment.text.count("dog")) for each in result.segments]
    assert (6, 6) in passages
    assert all(later[0] - earlier[0] >= 6 for earlier, later in pairwise(passages))


def test_hybrid_ranks_hits_of_both_first(
    request_store: RequestStore, store: EmbeddingStore, search: Search
) -> None:
    """Hits of one retriever follow."""
    add_said(request_store, "both", "dog")
    add_said(request_store, "meaning", "a puppy")
    add_said(request_store, "words", "dog and then sea sea sea")
    add_said(request_store, "neither", "money")
    embed_all(store)
    page = search.page("dog", mode="hybrid")
    assert names(page) == ["both", "words", "meaning", "neither"]
    scores = [result.score for result in page.items]
    assert scores == pytest.approx([2 / 61, 1 / 62 + 1 / 63, 1 / 62, 1 / 64], abs=1e-6)
    assert page.hit_count == 4


@pytest.mark.parametrize("mode", ["semantic", "hybrid"])
def test_only_readable_texts_are_found(
    request_store: RequestStore, store: EmbeddingStore, search: Search, mode: Mode
) -> None:
    """Also by the index, which is used if much is in scope."""
    add_said(request_store, "hers", "dog", owner="key:ann")
    add_said(request_store, "his", "puppy", owner="key:ben")
    embed_all(store)
    for min_compared in (20_000, 0):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(search_semantic, "MIN_COMPARED", min_compared)
            patch.setattr(search_semantic, "COMPARISON_FACTOR", 0)
            assert names(search.page("dog", ANN, mode=mode)) == ["hers"]
            assert names(search.page("dog", BEN, mode=mode)) == ["his"]
            assert names(search.page("dog", mode=mode)) == ["hers", "his"]


@pytest.mark.parametrize("min_compared", [20_000, 0])
@pytest.mark.long
def test_filters_and_versions(
    request_store: RequestStore,
    store: EmbeddingStore,
    search: Search,
    monkeypatch: pytest.MonkeyPatch,
    min_compared: int,
) -> None:
    """As in keyword mode, by comparing all passages in scope and by the index."""
    monkeypatch.setattr(search_semantic, "MIN_COMPARED", min_compared)
    monkeypatch.setattr(search_semantic, "COMPARISON_FACTOR", 0)
    for number in range(12):
        add_said(request_store, f"other{number}", "a puppy", channel="Other")
    add_said(request_store, "a", "dog", channel="Mine", published="2026-01-31", language="de")
    add_said(request_store, "b", "hound", channel="Mine", published="2026-02-01")
    add_said(request_store, "b", "money", channel="Mine", published="2026-02-01", model="tiny")
    embed_all(store)

    def names_with(filter: SearchFilter) -> list[str | None]:
        return names(search.page("dog", filter=filter, mode="semantic"))

    assert names_with(SearchFilter(channel="mine")) == ["a", "b"]
    assert names_with(SearchFilter(media_id="url-a")) == ["a"]
    assert names_with(SearchFilter(language="de")) == ["a"]
    assert names_with(SearchFilter(channel="mine", published_from=date(2026, 2, 1))) == ["b"]
    assert names_with(SearchFilter(channel="none")) == []
    [newest] = search.page("dog", filter=SearchFilter(media_id="url-b"), mode="semantic").items
    assert newest.segments[0].segment.text == "money"


@pytest.mark.long
def test_pages_cover_all_media(
    request_store: RequestStore, store: EmbeddingStore, search: Search
) -> None:
    """Each media item is on one page, in either mode."""
    for number in range(7):
        add_said(request_store, f"n{number}", *["dog"] * (number + 1))
    embed_all(store)
    for mode in ("semantic", "hybrid"):
        seen, after = [], None
        while True:
            page = search.page("dog", mode=mode, after=after, limit=3)
            seen += names(page)
            if (after := page.last) is None:
                break
        assert sorted(filter(None, seen)) == [f"n{number}" for number in range(7)]


def test_embedded_text_is_not_embedded_again(
    request_store: RequestStore, store: EmbeddingStore
) -> None:
    """Until its text changes; also if there is no speech."""
    add_said(request_store, "one", "dog")
    add_said(request_store, "silent")
    assert sorted(each.passage_count or 0 for each in embed_all(store)) == [0, 1]
    assert embed_all(store) == []


def rows(store: RequestStore, table: str) -> list:
    return store.postgres.rows(f"select * from ytcaption.{table}", {})  # type: ignore[arg-type]


def test_another_text_has_other_embeddings(
    request_store: RequestStore, run_store: RunStore, store: EmbeddingStore, search: Search
) -> None:
    """The old embeddings are deleted at once."""
    id = add_said(request_store, "one", "dog")
    embed_all(store)
    row = get_transcription(request_store.postgres, id)
    run_store.claim(id, "run-2")
    from tests.support.transcripts import transcript_of

    run_store.transcript_stored(
        id, "run-2", transcript_of(id, ("money",)), row.document_key or "", "aa" * 32
    )
    run_store.complete(id, "run-2")
    assert rows(request_store, "embedding") == []
    assert search.page("dog", mode="semantic").items == ()
    [embedded] = embed_all(store)
    assert embedded == EmbeddingOutcome(id, 1)
    [result] = search.page("dog", mode="semantic").items
    assert result.segments[0].segment.text == "money"


def test_text_changed_meanwhile_is_not_embedded(
    request_store: RequestStore, store: EmbeddingStore
) -> None:
    """Embeddings of the old text are not stored."""
    id = add_said(request_store, "one", "dog")

    class Slow(ToyEmbedder):
        def embed(self, texts):
            with request_store.postgres.transaction() as connection:
                connection.execute("update ytcaption.transcription set document_sha256 = 'other'")
            return super().embed(texts)

    assert embed_transcript(store, Slow(TOY.topics), id) == EmbeddingOutcome(id, None)
    assert rows(request_store, "embedding") == []


def test_models_are_never_mixed(
    request_store: RequestStore, store: EmbeddingStore, search: Search, settings: Settings
) -> None:
    """Embeddings of another model are not found, and all texts are embedded again."""
    add_said(request_store, "one", "dog")
    embed_all(store)
    later = ToyEmbedder(TOY.topics, revision="b2")
    later_search = Search(Postgres.from_settings(settings, "api"), later)
    with pytest.raises(SemanticUnavailable, match="ytcaption embed"):
        later_search.page("dog", mode="semantic")
    assert len(embed_all(store, later)) == 1
    assert names(later_search.page("dog", mode="semantic")) == ["one"]
    assert search.page("dog", mode="semantic").items == ()
    assert len(rows(request_store, "embedding")) == 1


@pytest.mark.parametrize(
    ("segments", "compared", "is_used"), [(4, 20_000, False), (4, 10, True), (24, 60, True)]
)
@pytest.mark.long
def test_many_passages_are_searched_by_the_index(
    request_store: RequestStore,
    store: EmbeddingStore,
    monkeypatch: pytest.MonkeyPatch,
    segments: int,
    compared: int,
    is_used: bool,
) -> None:
    """Many transcripts, or few long ones; otherwise all are compared, as the index is inexact."""
    monkeypatch.setattr(search_semantic, "MIN_COMPARED", compared)
    monkeypatch.setattr(search_semantic, "COMPARISON_FACTOR", 0)
    for number in range(30):
        add_said(request_store, f"n{number}", *["dog"] * segments)
    embed_all(store)
    used = (
        "select coalesce(sum(idx_scan), 0) as scans from pg_stat_user_indexes "
        "where indexrelname like 'embedding_of_model_%%'"
    )
    before = request_store.postgres.rows(used, {})[0]["scans"]
    with request_store.postgres.transaction() as connection:
        retriever = SemanticRetriever(*TOY.query("dog"))
        retriever.retrieve(
            connection, parse_search("dog"), scope(connection, LOCAL, SearchFilter()), "relevance"
        )
        connection.execute("select pg_stat_force_next_flush()")
    assert (request_store.postgres.rows(used, {})[0]["scans"] > before) == is_used


def test_no_backup_has_embeddings(
    request_store: RequestStore, store: EmbeddingStore, settings: Settings, tmp_path: Path
) -> None:
    """Their type may be missing on the next server, and they can be computed again."""
    add_said(request_store, "one", "dog")
    embed_all(store)
    dump_databases(database_urls(settings), tmp_path, lake_apart=False)
    dump = (tmp_path / "ytcaption.dump").read_bytes()
    assert b"COPY ytcaption.segment" in dump
    assert b"COPY ytcaption.embedding" not in dump


def test_excluded_words_are_reported_as_ignored(
    request_store: RequestStore, store: EmbeddingStore, search: Search
) -> None:
    """A note says so."""
    add_said(request_store, "one", "dog")
    embed_all(store)
    assert "Excluded words" in search.page("dog -cat", mode="semantic").notes[0]


def test_error_without_embeddings_says_what_to_do(
    request_store: RequestStore, search: Search
) -> None:
    """In both modes; keyword search works all the same."""
    add_said(request_store, "one", "dog")
    for mode in ("semantic", "hybrid"):
        with pytest.raises(SemanticUnavailable, match="Run `ytcaption embed`"):
            search.page("dog", mode=mode)
    assert search.page("dog").items


@pytest.mark.slow
@pytest.mark.parametrize("database_server", list(DEBIAN_PROGRAMS), indirect=True)
def test_server_without_pgvector_does_the_rest(
    request_store: RequestStore, search: Search, settings: Settings
) -> None:
    """It is migrated, stores and erases texts, finds words, and says what it lacks."""
    admin = Postgres.from_settings(settings, "admin")
    if admin.rows("select from pg_available_extensions where name = 'vector'", {}):
        pytest.skip("this server has pgvector")
    add_said(request_store, "one", "dog")
    assert names(search.page("dog")) == ["one"]
    with pytest.raises(SemanticUnavailable, match="pgvector"):
        search.page("dog", mode="semantic")
    with pytest.raises(SemanticUnavailable, match="create extension vector"):
        embed_all(EmbeddingStore(admin))


def test_error_without_the_extra_says_what_to_install(
    request_store: RequestStore, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keyword search works all the same."""
    monkeypatch.setattr("resources.embeddings.embedder.is_installed", lambda: False)
    add_said(request_store, "one", "dog")
    search = Search(Postgres.from_settings(settings, "api"), Embedder(DEFAULT_MODEL))
    with pytest.raises(SemanticUnavailable, match=r"ytcaption\[semantic\]"):
        search.page("dog", mode="semantic")
    assert search.page("dog").items


@needs_model
def test_folder_without_a_model_is_an_error(tmp_path: Path) -> None:
    """The message has the name of the setting."""
    with pytest.raises(ModelUnavailable, match="YTCAPTION_EMBEDDING_MODEL"):
        Embedder(str(tmp_path)).embed(["words"])


@needs_model
def test_real_model_finds_similar_meaning(
    request_store: RequestStore, store: EmbeddingStore, settings: Settings
) -> None:
    """Queries use other words than the texts."""
    embedder = embedder_of(DEFAULT_MODEL)
    add_said(request_store, "money", "The central bank raised interest rates again this spring")
    add_said(request_store, "dog", "Our puppy chewed the sofa while we were out")
    add_said(request_store, "sea", "Waves broke over the harbour wall all night")
    assert len(embed_all(store, embedder)) == 3
    search = Search(Postgres.from_settings(settings, "api"), embedder)
    for query, name in (
        ("monetary policy", "money"),
        ("a pet destroys furniture", "dog"),
        ("storm at the coast", "sea"),
    ):
        assert names(search.page(query, mode="semantic"))[0] == name
        assert names(search.page(query, mode="hybrid"))[0] == name
        assert not search.page(query).items
    assert embedder.model.dimensions == 384
