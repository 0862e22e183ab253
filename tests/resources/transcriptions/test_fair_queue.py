"""The fair queue: many requests of one owner do not delay the few of another."""

import psycopg
import pytest

from resources.transcriptions.actions import TranscriptionActions
from resources.transcriptions.rows import TranscriptionRequest
from resources.transcriptions.store import RequestStore
from tests.support.servers.postgres_servers import (
    SERVERS,
    DatabaseServer,
)
from ytcaption.domain.media.media import MediaSource
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
