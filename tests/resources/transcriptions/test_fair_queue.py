"""The fair queue: many requests of one owner do not delay the few of another."""

import psycopg
import pytest

from resources.network.proxy_health import record_failed
from resources.transcriptions.actions import TranscriptionActions
from resources.transcriptions.rows import TranscriptionRequest
from resources.transcriptions.store import RequestStore
from tests.support.servers.postgres_servers import (
    SERVERS,
    DatabaseServer,
)
from ytcaption.domain.media.media import MediaSource
from ytcaption.domain.media.pacing import Pacing, PerSite
from ytcaption.domain.request import TranscriptionOptions

pytestmark = pytest.mark.parametrize("database_server", SERVERS, indirect=True)

OPTIONS = TranscriptionOptions("base")
FLOOD, FEW = "key:flood", "key:few"


def ask(store: RequestStore, owner: str, number: int, priority="interactive", host="a.org"):
    name = f"{owner[4:]}-{priority}"
    requests = [
        TranscriptionRequest(
            MediaSource(f"url-{name}-{at}", "direct", f"https://{host}/{name}/{at}", "Generic"),
            OPTIONS,
            priority,
        )
        for at in range(number)
    ]
    return [request.id for request in requests if store.submit_many([request], owner=owner)]


def flood(store: RequestStore, number: int, priority="interactive") -> None:
    """Queue many transcriptions of one owner in one transaction."""
    requests = [
        TranscriptionRequest(
            MediaSource(f"url-flood-{priority}-{at}", "direct", f"https://f.org/{at}", "Generic"),
            OPTIONS,
            priority,
        )
        for at in range(number)
    ]
    store.submit_many(requests, owner=FLOOD)


def test_three_of_one_are_not_behind_a_thousand_of_another(request_store: RequestStore):
    """Owners alternate: the three are among the first six, though they came last."""
    flood(request_store, 1_000)
    few = ask(request_store, FEW, 3)
    due = request_store.due(6)
    assert [each.id for each in due if each.id in few] == few
    assert [each.rank for each in due] == [1, 1, 2, 2, 3, 3]


def test_interactive_ones_overtake_any_number_of_bulk_ones(request_store: RequestStore):
    """An interactive request comes first whatever its owner; among these, owners alternate."""
    flood(request_store, 300, "bulk")
    ask(request_store, FEW, 2, "bulk")
    urgent = ask(request_store, "key:urgent", 3)
    due = request_store.due(7)
    assert [each.id for each in due[:3]] == urgent
    assert [each.priority for each in due] == ["interactive"] * 3 + ["bulk"] * 4
    assert sum("few" in each.id for each in due[3:]) == 2


def test_the_slots_of_a_site_are_shared_fairly(request_store: RequestStore):
    """Many requests of one owner for a site do not use all of its downloads."""
    flood(request_store, 50)
    few = ask(request_store, FEW, 1, host="f.org")
    assert few[0] in {each.id for each in request_store.due(10, per_site=2)}
    assert len(request_store.due(10, per_site=2)) == 2


def test_a_slow_site_does_not_delay_other_sites(request_store: RequestStore):
    """It does not even delay those of the same owner."""
    flood(request_store, 200)
    other = ask(request_store, FLOOD, 1, host="other.org")
    due = [each.id for each in request_store.due(4, per_site=2)]
    assert len(due) == 3 and other[0] in due


def test_the_rank_is_of_the_remaining_owner(
    request_store: RequestStore, database_server: DatabaseServer
):
    """An owner who withdraws has no rank with it any more; one who requests it again has."""

    def owner() -> str:
        with psycopg.connect(database_server.superuser_url) as connection:
            rows = connection.execute("select owner from ytcaption.transcription").fetchall()
        return rows[0][0]

    source = MediaSource("url-shared", "direct", "https://a.org/shared", "Generic")
    id = request_store.submit(source, OPTIONS, owner=FLOOD).transcription.id
    request_store.submit(source, OPTIONS, owner=FEW)
    assert owner() == FLOOD
    assert TranscriptionActions(request_store.postgres).cancel(id, FLOOD).effect == "withdrawn"
    assert owner() == FEW
    request_store.cancel(id)
    request_store.submit(source, OPTIONS, owner=FLOOD)
    assert owner() == FLOOD


def test_the_oldest_of_each_owner_is_first(request_store: RequestStore):
    """Within the slots of a site, and among owners, by the age of their requests."""
    last = ask(request_store, "key:z", 3, host="f.org")
    first = ask(request_store, "key:a", 2, host="f.org")
    assert [each.id for each in request_store.due(9, per_site=3)] == [last[0], first[0], last[1]]
    assert [each.id for each in request_store.due(9)] == [
        *(last[0], first[0], last[1], first[1], last[2])
    ]


def test_the_only_slot_of_a_site_is_for_interactive_ones(request_store: RequestStore):
    """Bulk ones that came before them wait."""
    ask(request_store, FLOOD, 2, "bulk", host="f.org")
    urgent = ask(request_store, FEW, 1, host="f.org")
    assert [each.id for each in request_store.due(9, per_site=1)] == urgent


def test_owners_alternate_in_bulk_whatever_they_request_besides(request_store: RequestStore):
    """Interactive requests of an owner do not delay that owner's bulk ones."""
    ask(request_store, FLOOD, 2)
    flood_bulk = ask(request_store, FLOOD, 2, "bulk")
    few_bulk = ask(request_store, FEW, 2, "bulk")
    bulk = [each.id for each in request_store.due(9) if each.priority == "bulk"]
    assert bulk == [flood_bulk[0], few_bulk[0], flood_bulk[1], few_bulk[1]]


def test_a_paced_site_has_one_bulk_download_of_all_owners(request_store: RequestStore):
    """The oldest; the slots of the site are more."""
    paced = Pacing(pause_s=PerSite(10.0))
    first = ask(request_store, FLOOD, 2, "bulk", host="f.org")
    ask(request_store, FEW, 2, "bulk", host="f.org")
    assert [each.id for each in request_store.due(9, 9, paced)] == first[:1]


def test_uploads_need_no_proxy_and_no_slot(request_store: RequestStore):
    """Their audio is stored: they are due while every proxy cools down."""
    pacing = Pacing(proxies=("only",))
    record_failed(request_store.postgres, "only", "it hangs up")
    ask(request_store, FEW, 1)
    uploads = [
        request_store.submit(
            MediaSource(f"upload-{number}", "upload", title="a"), OPTIONS, owner=FEW
        ).transcription.id
        for number in range(2)
    ]
    assert [each.id for each in request_store.due(9, 1, pacing)] == uploads


def test_the_next_is_due_when_the_first_may_be_tried_again(
    request_store: RequestStore, database_server: DatabaseServer
):
    """Of all sites, and of uploads, which have none."""
    upload = MediaSource("upload-late", "upload", title="a")
    waits = {
        request_store.submit(upload, OPTIONS, owner=FEW).transcription.id: 30,
        ask(request_store, FEW, 1)[0]: 60,
        ask(request_store, FLOOD, 1, host="f.org")[0]: 90,
    }
    with psycopg.connect(database_server.superuser_url) as connection:
        for id, wait_s in waits.items():
            connection.execute(
                "update ytcaption.transcription set next_attempt_at = now() + %s * interval '1 s' "
                "where id = %s",
                (wait_s, id),
            )
    for id, wait_s in waits.items():
        assert request_store.next_due_in_s() == pytest.approx(wait_s, abs=5)
        request_store.cancel(id)
    assert request_store.next_due_in_s() is None
