"""The outbox: what is to be sent is there with what it tells of, and is somebody's to send."""

import threading

import pytest

from resources.auth.api_keys import ApiKeys
from resources.maintenance.erasure import Erasure
from resources.orchestration.orchestrator import Orchestrator
from resources.postgres.connection import Postgres
from resources.transcriptions.actions import TranscriptionActions
from resources.transcriptions.run_store import RunStore
from resources.transcriptions.state import cancel_row, locked_row
from resources.transcriptions.store import RequestStore
from resources.webhooks.outbox import PER_LANE, PER_OWNER, Attempt
from tests.resources.webhooks.outboxes import RUN, URL, Box
from ytcaption.domain.errors import DagsterUnavailable
from ytcaption.domain.webhook import DELAYS_S, EVENT_TYPES, next_delay_s
from ytcaption.settings.settings import Settings

CALLBACK = "https://example.org/callback"
FAILED = Attempt("server_error", 0.1, 500, "oops")


@pytest.fixture
def box(settings: Settings, request_store: RequestStore) -> Box:
    """Empty; webhooks and notifiers with the rights of the API."""
    return Box(settings, request_store, Postgres.from_settings(settings, "api"))


def test_an_end_is_delivered_to_its_owners(box: Box) -> None:
    """Webhooks of those who asked, by event, and their callbacks; nobody else's."""
    box.webhook()
    box.webhook("https://example.org/failures", event_types=["transcription.failed"])
    box.webhook("https://example.org/all", event_types=EVENT_TYPES)
    box.webhook("https://unrelated.example.org/", owner="key:unrelated", event_types=EVENT_TYPES)
    box.completed(callback=CALLBACK)

    assert sorted(box.deliveries()) == sorted(
        [
            ("transcription.queued", "https://example.org/all"),
            ("transcription.started", "https://example.org/all"),
            ("transcription.completed", "https://example.org/all"),
            ("transcription.completed", URL),
            ("transcription.completed", CALLBACK),
        ]
    )


def test_runs_need_no_right_on_the_outbox(box: Box, settings: Settings) -> None:
    """With the rights of Dagster's part a run tells of its end all the same."""
    id = box.queued(callback=CALLBACK)
    runs = RequestStore.from_settings(settings, "dagster")
    RunStore(postgres=runs.postgres).claim(id, RUN)
    RunStore(postgres=runs.postgres).fail(
        id, RUN, "disk_full", "Full.", retryable=False, max_attempts=4
    )
    assert box.deliveries() == [("transcription.failed", CALLBACK)]
    assert [row["subject"] for row in box.rows("select * from ytcaption.alert")] == ["disk_full"]


def test_state_and_outbox_change_together(box: Box) -> None:
    """What is rolled back is told to nobody."""
    id = box.queued(callback=CALLBACK)
    with (
        pytest.raises(ZeroDivisionError),
        box.store.postgres.transaction() as connection,
    ):
        cancel_row(connection, locked_row(connection, id))
        raise ZeroDivisionError
    assert box.deliveries() == []
    box.store.cancel(id)
    assert box.deliveries() == [("transcription.canceled", CALLBACK)]


def test_who_asks_for_what_is_completed_is_called_back_at_once(box: Box) -> None:
    """By the event of the request; those who were told before are not told again."""
    box.completed(callback=CALLBACK)
    box.queued(owner="key:late", callback="https://late.example.org/")
    assert box.deliveries() == [
        ("transcription.completed", CALLBACK),
        ("transcription.completed", "https://late.example.org/"),
    ]


def test_one_url_gets_an_event_once(box: Box) -> None:
    """Two requests with one callback: one delivery that names both."""
    box.queued(callback=CALLBACK)
    box.failed(callback=CALLBACK)
    [row] = box.rows()
    assert len(row["request_ids"]) == 2


def test_erased_events_are_not_delivered(
    box: Box, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its deliveries and their attempts go with it, at once: Dagster is away."""
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    id = box.completed(callback=CALLBACK)
    box.completed("other", callback=CALLBACK)
    for claimed in box.outbox.claim(9):
        box.outbox.settle(claimed, FAILED)
    orchestrator = Orchestrator()
    with pytest.raises(DagsterUnavailable):
        Erasure(settings, box.postgres, orchestrator).erase(id)
    orchestrator.close()
    assert [row["transcription_id"] for row in box.rows()] == [box.queued("other")]
    assert len(box.rows("select * from ytcaption.delivery_attempt")) == 1


def test_a_withdrawn_request_gets_no_more_events(box: Box) -> None:
    """What waits for them goes; others are told."""
    box.webhook(event_types=EVENT_TYPES)
    id = box.queued()
    box.queued(owner="key:other", callback=CALLBACK)
    assert box.deliveries() == [("transcription.queued", URL)]
    assert TranscriptionActions(box.postgres).cancel(id, "local").effect == "withdrawn"
    assert box.deliveries() == []
    TranscriptionActions(box.postgres).cancel(id, "key:other")
    assert box.deliveries() == [("transcription.canceled", CALLBACK)]


def test_a_delivery_is_claimed_once_until_its_lease_ends(box: Box) -> None:
    """A notifier that died leaves it; what it says when it comes back changes nothing."""
    box.completed(callback=CALLBACK)
    [claimed] = box.outbox.claim(9)
    assert box.outbox.claim(9) == []
    box.pass_time(31)
    [again] = box.outbox.claim(9)
    assert again.message.event_id == claimed.message.event_id and again.lease != claimed.lease

    box.outbox.settle(claimed, FAILED)
    assert box.rows()[0]["attempt"] == 0
    box.outbox.settle(again, Attempt("delivered", 0.1, 204))
    [row] = box.rows()
    assert (row["status"], row["attempt"]) == ("delivered", 1)


def test_two_notifiers_claim_different_ones(box: Box) -> None:
    """At the same time they claim all deliveries, and none twice."""
    for number in range(12):
        box.completed(f"m{number}", callback=f"https://h{number % 6}.example.org/")
    found: list[list] = [[], []]
    start = threading.Barrier(2)

    def claim(into: list) -> None:
        start.wait()
        for _ in range(6):
            into += box.outbox.claim(3)

    threads = [threading.Thread(target=claim, args=(into,)) for into in found]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ids = [claimed.id for each in found for claimed in each]
    assert len(ids) == len(set(ids)) == 12


@pytest.mark.long
def test_nobody_takes_all_places(box: Box) -> None:
    """A host has its share of an owner's, and an owner of all."""
    for number in range(PER_LANE + 2):
        box.completed(f"m{number}", callback="https://slow.example.org/")
    box.completed("quick", callback="https://quick.example.org/")
    urls = [claimed.url for claimed in box.outbox.claim(64)]
    assert urls.count("https://slow.example.org/") == PER_LANE
    assert urls.count("https://quick.example.org/") == 1

    for number in range(PER_OWNER + 2):
        box.completed(f"n{number}", owner="key:b", callback=f"https://h{number}.example.org/")
    box.completed("c", owner="key:c", callback=CALLBACK)
    claimed = box.outbox.claim(64)
    assert len(claimed) == PER_OWNER + 1
    assert CALLBACK in {each.url for each in claimed}


def test_attempts_follow_the_schedule_until_it_is_dead(box: Box) -> None:
    """Ten attempts, 5 s to 24 h apart, give or take a fifth; then it rests."""
    box.completed(callback=CALLBACK)
    for delay_s in [*DELAYS_S[1:], None]:
        [claimed] = box.outbox.claim(9)
        box.outbox.settle(claimed, FAILED)
        if delay_s is not None:
            box.pass_time(0.8 * delay_s - 2)
            assert box.outbox.claim(9) == []
            assert box.outbox.next_due_in_s() is not None
            box.pass_time(0.4 * delay_s + 4)
    box.pass_time(10 * 24 * 3600)
    assert box.outbox.claim(9) == []
    [row] = box.rows()
    assert (row["status"], row["attempt"], row["last_outcome"]) == ("dead", 10, "server_error")


def test_the_receiver_may_ask_for_a_later_attempt() -> None:
    """`Retry-After` lengthens a wait, up to a day, and never shortens it."""
    assert next_delay_s(1, 0.5) == 5.0
    assert next_delay_s(1, 0.0) == 4.0
    assert next_delay_s(1, 0.5, retry_after_s=60) == 60
    assert next_delay_s(3, 0.5, retry_after_s=60) == 1_800
    assert next_delay_s(1, 0.5, retry_after_s=1e9) == 24 * 3600
    assert next_delay_s(10, 0.5, retry_after_s=60) is None


def test_a_receiver_that_is_gone_is_left_alone(box: Box) -> None:
    """410 disables a webhook and ends what waits for it; a callback's URL is forgotten."""
    webhook = box.webhook()
    box.failed("a")
    box.failed("b", callback=CALLBACK)
    for claimed in box.outbox.claim(1):
        box.outbox.settle(claimed, Attempt("gone", 0.1, 410))
    assert box.webhooks.get(webhook.id, "local").disabled_reason == "gone"
    assert sorted((row["url"], row["status"]) for row in box.rows()) == [
        (CALLBACK, "waiting"),
        (URL, "dead"),
        (URL, "dead"),
    ]
    [callback] = box.outbox.claim(9)
    box.outbox.settle(callback, Attempt("gone", 0.1, 410))

    box.failed("b")
    box.failed("c")
    assert len(box.rows()) == 3
    alerts = box.rows("select * from ytcaption.alert")
    assert [(row["code"], row["subject"]) for row in alerts] == [
        ("webhook_disabled", str(webhook.id))
    ]


def test_a_revoked_key_gets_no_more_events(box: Box, settings: Settings) -> None:
    """Neither its webhooks nor its callbacks, nor of what waits."""
    keys = ApiKeys.from_settings(settings, "api")
    key, other = (keys.create(name, ["read", "write"]).row for name in ("gone", "other"))
    webhook = box.webhook(owner=f"key:{key.id}")
    box.webhook(owner=f"key:{other.id}")
    box.failed("a", owner=f"key:{key.id}", callback=CALLBACK)
    box.queued("b", owner=f"key:{key.id}", callback=CALLBACK)
    keys.revoke(key.id)
    box.failed("b", owner=f"key:{other.id}")
    assert sorted((row["owner"] == f"key:{key.id}", row["status"]) for row in box.rows()) == [
        (False, "waiting"),
        (True, "dead"),
        (True, "dead"),
    ]
    assert box.webhooks.get(webhook.id, None).disabled_reason == "revoked"


def test_an_expired_key_gets_no_more_events(box: Box, settings: Settings) -> None:
    """From its end on nothing is added or sent; then its webhook is disabled."""
    keys = ApiKeys.from_settings(settings, "api")
    key, other = (keys.create(name, ["read", "write"]).row for name in ("ended", "other"))
    owner = f"key:{key.id}"
    webhook, others = box.webhook(owner=owner), box.webhook(owner=f"key:{other.id}")
    box.failed("a", owner=owner, callback=CALLBACK)
    with box.store.postgres.transaction() as connection:
        connection.execute(
            "update ytcaption.api_key set expires_at = now() - interval '1 second' where id = %s",
            (key.id,),
        )
    box.failed("b", owner=owner, callback=CALLBACK)
    box.failed("c", owner=f"key:{other.id}")
    owners = [row["owner"] for row in box.rows()]
    assert owners == [owner, owner, f"key:{other.id}"]
    assert [each.message.webhook_id for each in box.outbox.claim(9)] == [others.id]

    assert keys.end_expired() == [owner]
    assert [row["status"] for row in box.rows()] == ["dead", "dead", "waiting"]
    assert box.webhooks.get(webhook.id, None).disabled_reason == "revoked"


def test_settled_deliveries_have_an_age_limit(box: Box) -> None:
    """Deliveries that wait are kept."""
    box.completed("a", callback=CALLBACK)
    [claimed] = box.outbox.claim(9)
    box.outbox.settle(claimed, Attempt("delivered", 0.1, 204))
    box.completed("b", callback=CALLBACK)
    box.pass_time(29 * 24 * 3600)
    assert box.outbox.delete_old(30) == 0
    box.pass_time(2 * 24 * 3600)
    assert box.outbox.delete_old(30) == 1
    assert [row["status"] for row in box.rows()] == ["waiting"]
