"""Many requests in one transaction, their owners, and who may read them."""

import hashlib
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from resources.transcriptions.idempotency import IdempotencyKey
from resources.transcriptions.listing import Position, transcription_detail, transcription_page
from resources.transcriptions.reads import get_transcription
from resources.transcriptions.rows import Refusal, Submission, TranscriptionRequest
from resources.transcriptions.run_store import RunStore
from resources.transcriptions.store import RequestStore
from ytcaption.domain.caller import Caller
from ytcaption.domain.errors import IdempotencyMismatch, TranscriptionErased, TranscriptionNotFound
from ytcaption.domain.media.media import MediaSource
from ytcaption.domain.request import TranscriptionOptions

OPTIONS = TranscriptionOptions("base")
KEY = IdempotencyKey("one", "ab" * 32)
ANNA = Caller("key:anna", frozenset({"read"}))
BERT = Caller("key:bert", frozenset({"read"}))


def source(name: str) -> MediaSource:
    """A media file."""
    return MediaSource(f"url-{name}", "direct", f"https://example.org/{name}")


def requests(*names: str) -> list[TranscriptionRequest]:
    """One request per name."""
    return [TranscriptionRequest(source(name), OPTIONS) for name in names]


def test_owners_see_their_own_requests_only(request_store: RequestStore):
    """An owner of None sees all."""
    id = request_store.submit(source("a"), OPTIONS, owner=ANNA.owner).transcription.id

    assert get_transcription(request_store.postgres, id, ANNA.owner) == get_transcription(
        request_store.postgres, id
    )
    for read in (
        lambda: get_transcription(request_store.postgres, id, BERT.owner),
        lambda: transcription_detail(request_store.postgres, id, BERT),
    ):
        with pytest.raises(TranscriptionNotFound):
            read()
    assert transcription_page(request_store.postgres, BERT) == []
    assert [
        detail.transcription.id for detail in transcription_page(request_store.postgres, ANNA)
    ] == [id]
    # What nobody asked for any more, as after a restore of the rows by hand, is nobody's.
    with request_store.postgres.transaction() as connection:
        connection.execute("delete from ytcaption.request")
    with pytest.raises(TranscriptionNotFound):
        get_transcription(request_store.postgres, id, ANNA.owner)


def test_an_erased_one_is_reported_until_it_is_requested_again(request_store: RequestStore):
    """A tombstone answers for the row, and is deleted when the row exists again."""
    id = request_store.submit(source("a"), OPTIONS).transcription.id
    with request_store.postgres.transaction() as connection:
        connection.execute("delete from ytcaption.transcription where id = %s", (id,))
        connection.execute(
            "insert into ytcaption.tombstone (id_sha256) values (%s)",
            (hashlib.sha256(id.encode()).hexdigest(),),
        )
    with pytest.raises(TranscriptionErased):
        get_transcription(request_store.postgres, id)
    with pytest.raises(TranscriptionErased):
        transcription_detail(request_store.postgres, id)

    assert request_store.submit(source("a"), OPTIONS).created
    assert get_transcription(request_store.postgres, id).id == id
    assert request_store.postgres.rows("select * from ytcaption.tombstone", {}) == []


def test_many_are_answered_in_their_order(request_store: RequestStore):
    """Refusals keep their positions, and equal requests share a transcription."""
    no = Refusal("invalid_url", "This is no link.")
    requested = [*requests("b", "a"), no, *requests("b")]

    answers = request_store.submit_many(requested, owner=ANNA.owner)

    assert answers[2] == no
    taken = [answer for answer in answers if isinstance(answer, Submission)]
    assert [each.transcription.media_id for each in taken] == ["url-b", "url-a", "url-b"]
    assert [(each.created, each.queued) for each in taken] == [(True, True)] * 2 + [(False, False)]
    assert len({each.request_id for each in taken}) == 3


def test_one_refusal_does_not_affect_the_others(request_store: RequestStore):
    """It is in its position; the others are stored."""
    request_store.submit(source("a"), OPTIONS)
    with request_store.postgres.transaction() as connection:
        connection.execute('update ytcaption.transcription set options = \'{"model": "tiny"}\'')

    first, second = request_store.submit_many(requests("a", "b"))

    assert isinstance(first, Refusal)
    assert first.code == "options_mismatch"
    assert isinstance(second, Submission)
    assert get_transcription(request_store.postgres, second.transcription.id).status == "queued"


def test_batches_of_the_same_media_do_not_block_each_other(request_store: RequestStore):
    """Eight at once, each in another order: all are stored."""
    names = [f"n{number:02d}" for number in range(40)]
    barrier = threading.Barrier(8)

    def submit(number: int) -> list[Submission | Refusal]:
        barrier.wait()
        turned = names[number * 5 :] + names[: number * 5]
        return request_store.submit_many(requests(*(turned if number % 2 else turned[::-1])))

    with ThreadPoolExecutor(8) as threads:
        answers = [answer for batch in threads.map(submit, range(8)) for answer in batch]

    assert all(isinstance(answer, Submission) for answer in answers)
    assert sum(answer.created for answer in answers if isinstance(answer, Submission)) == 40
    assert len(transcription_page(request_store.postgres, limit=200)) == 40


def test_the_trace_is_that_of_the_queueing_request(request_store: RequestStore):
    """A request that only shares leaves it; one that queues it again brings its own."""
    first, second = ("00-" + digit * 32 + "-" + digit * 16 + "-01" for digit in "12")
    id = request_store.submit(source("a"), OPTIONS, traceparent=first).transcription.id
    request_store.submit(source("a"), OPTIONS, traceparent=second)

    def stored() -> str:
        return request_store.postgres.rows("select traceparent from ytcaption.transcription", {})[
            0
        ]["traceparent"]

    assert stored() == first
    request_store.cancel(id)
    request_store.submit(source("a"), OPTIONS, traceparent=second)
    assert stored() == second


def test_a_key_is_stored_with_the_work_or_not_at_all(request_store: RequestStore):
    """A failure rolls both back."""
    request_store.submit(source("a"), OPTIONS, idempotency=KEY)
    with pytest.raises(IdempotencyMismatch):
        request_store.submit(source("b"), OPTIONS, idempotency=IdempotencyKey(KEY.key, "cd" * 32))
    assert [
        detail.media.source.media_id for detail in transcription_page(request_store.postgres)
    ] == ["url-a"]

    with request_store.postgres.transaction() as connection:
        connection.execute("delete from ytcaption.idempotency")
    with pytest.raises(TypeError):
        request_store.submit(source("c"), OPTIONS, metadata={"x": object()}, idempotency=KEY)
    assert request_store.stored_answer("local", KEY) is None
    assert request_store.submit(source("c"), OPTIONS, idempotency=KEY).created


def test_a_repeated_answer_says_so(request_store: RequestStore, run_store: RunStore):
    """It is the first answer, also of many requests, with the refusals."""
    requested = [*requests("a"), Refusal("invalid_url", "No link.", [{"pointer": "#/items/1"}])]
    first = request_store.submit_many(requested, idempotency=KEY)
    id = first[0].transcription.id if isinstance(first[0], Submission) else ""
    run_store.claim(id, "run-1")

    again = request_store.submit_many(requested, idempotency=KEY)

    assert again == request_store.stored_answer("local", KEY)
    assert isinstance(again[0], Submission)
    assert (again[0].repeated, again[0].transcription.status) == (True, "queued")
    assert isinstance(first[0], Submission)
    assert again[0].request_id == first[0].request_id
    assert again[1] == requested[1]


def test_pages_continue_after_the_last_one(request_store: RequestStore):
    """Also within one transaction, whose times are equal."""
    request_store.submit_many(requests(*(f"n{number}" for number in range(7))))
    found: list[str] = []
    after = None
    while page := transcription_page(request_store.postgres, after=after, limit=3):
        found += [detail.transcription.id for detail in page]
        last = page[-1].transcription
        after = Position(last.created_at, last.id)

    assert len(found) == len(set(found)) == 7
