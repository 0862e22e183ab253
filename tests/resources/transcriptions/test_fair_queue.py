"""The fair queue: many requests of one owner do not delay the few of another."""

from dataclasses import replace

import psycopg
import pytest
from psycopg import Connection
from psycopg.rows import DictRow

from resources.network.proxy_health import record_failed
from resources.transcriptions import fair_queue
from resources.transcriptions.actions import TranscriptionActions
from resources.transcriptions.rows import TranscriptionRequest
from resources.transcriptions.run_store import RunStore
from resources.transcriptions.store import RequestStore
from tests.resources.sites.test_pacing import quiet_now
from tests.support.servers.postgres_servers import (
    SERVERS,
    DatabaseServer,
)
from ytcaption.domain.media.media import MediaSource
from ytcaption.domain.media.pacing import UNPACED, Pacing, PerSite
from ytcaption.domain.request import Priority, TranscriptionOptions

pytestmark = pytest.mark.parametrize("database_server", SERVERS, indirect=True)

OPTIONS = TranscriptionOptions("base")
FLOOD, FEW = "key:flood", "key:few"
PRIORITIES: tuple[Priority, ...] = ("interactive", "interactive", "bulk", "bulk")


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


@pytest.mark.long
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


def same_time(server: DatabaseServer) -> None:
    """Let all have been requested in the same microsecond."""
    with psycopg.connect(server.superuser_url) as connection:
        connection.execute("update ytcaption.transcription set queued_at = '2026-01-01 00:00Z'")


def test_of_the_same_time_the_order_is_always_the_same(
    request_store: RequestStore, database_server: DatabaseServer
):
    """By id: each tick decides alike, whatever the order in which they were stored."""

    def submit(id: str, owner: str, host: str, priority: Priority = "interactive") -> str:
        source = MediaSource(f"url-{id}", "direct", f"https://{host}/{id}", "Generic")
        submission = request_store.submit(source, OPTIONS, owner=owner, priority=priority)
        return submission.transcription.id

    def due(limit: int = 9, per_site: int = 9, pacing: Pacing = UNPACED) -> list[str]:
        return [each.id for each in request_store.due(limit, per_site, pacing)]

    late = [submit(id, "key:a", host) for id, host in (("d", "f.org"), ("c", "g.org"))]
    soon = [submit(id, "key:b", host) for id, host in (("b", "f.org"), ("a", "g.org"))]
    same_time(database_server)
    in_turn = [soon[1], late[1], soon[0], late[0]]
    assert due() == in_turn
    assert due(1) == in_turn[:1]
    assert due(per_site=1) == [soon[1], soon[0]]
    for id in (*late, *soon):
        request_store.cancel(id)
    bulk = [submit(id, f"key:{owner}", "f.org", "bulk") for id, owner in (("z", "a"), ("y", "b"))]
    same_time(database_server)
    assert due(pacing=Pacing(pause_s=PerSite(10.0))) == bulk[1:]
    several = [submit(f"y{at}", "key:b", "f.org") for at in reversed(range(3))]
    same_time(database_server)
    assert due(per_site=2) == several[:0:-1]
    another = submit("zz", "key:a", "f.org")
    same_time(database_server)
    assert due(per_site=2) == [several[2], another]


def test_each_is_due_at_its_very_time(request_store: RequestStore):
    """Not a microsecond later: a retry, and the trial of a site that failed."""
    with request_store.postgres.transaction() as connection:  # `now()` stands still in it
        for id, site in (("a", None), ("b", "f.org")):
            connection.execute(
                "insert into ytcaption.media (id, kind) values (%s, 'direct')", (id,)
            )
            connection.execute(
                "insert into ytcaption.transcription (id, media_id, options, priority, "
                "source_site, next_attempt_at) values (%s, %s, '{}', 'interactive', %s, now())",
                (id, id, site),
            )
        connection.execute(
            "insert into ytcaption.breaker (site, opened_at, probe_at) "
            "values ('f.org', now(), now())"
        )
        found = fair_queue.due(connection, 9, 9)
        known = [each.run_key for each in found]
        assert [each.id for each in found] == ["a", "b"]
        assert fair_queue.next_due_in_s(connection, 9) == 0
        assert fair_queue.next_due_in_s(connection, 9, known) is None


@pytest.mark.long
def test_the_cost_does_not_grow_with_the_length_of_the_queue(request_store: RequestStore):
    """Of each owner, priority and site as many rows are read as may start, and one to find it."""

    def rows_read(limit: int, per_site: int, pacing: Pacing = UNPACED) -> int:
        with request_store.postgres.transaction() as connection:
            # A planner that knows the size of the queue uses its index; these tables are too small.
            connection.execute("analyze ytcaption.transcription")
            connection.execute("set local enable_seqscan = off; set local enable_bitmapscan = off")
            connection.execute("set local enable_sort = off")
            # The view may still count what this connection read in an earlier transaction.
            before = counted(connection)
            fair_queue.due(connection, limit, per_site, pacing)
            return counted(connection) - before

    def counted(connection: Connection[DictRow]) -> int:
        row = connection.execute(
            "select idx_tup_fetch + seq_tup_read as number from pg_stat_xact_user_tables "
            "where schemaname = 'ytcaption' and relname = 'transcription'"
        ).fetchone()
        assert row is not None
        return row["number"]

    flood(request_store, 300)
    flood(request_store, 300, "bulk")
    many = rows_read(4, 50)
    assert many < 40
    assert rows_read(50, 1) < many
    assert rows_read(50, 20, Pacing(pause_s=PerSite(10.0))) < 40


def test_the_slots_of_a_site_are_shared_fairly(request_store: RequestStore):
    """Many requests of one owner for a site do not use all of its downloads."""
    flood(request_store, 50)
    few = ask(request_store, FEW, 1, host="f.org")
    assert few[0] in {each.id for each in request_store.due(10, per_site=2)}
    assert len(request_store.due(10, per_site=2)) == 2
    assert few[0] in {each.id for each in request_store.due(2)}, "without a limit of the site, too"


def test_a_slow_site_does_not_delay_other_sites(request_store: RequestStore):
    """It does not even delay those of the same owner."""
    flood(request_store, 200)
    other = ask(request_store, FLOOD, 1)
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


def test_age_counts_and_not_the_id(request_store: RequestStore):
    """The order of ids is that of names, which says nothing of when a request came."""

    def submit(id: str, owner: str, host: str = "f.org") -> str:
        source = MediaSource(f"url-{id}", "direct", f"https://{host}/{id}", "Generic")
        return request_store.submit(source, OPTIONS, owner=owner).transcription.id

    def due(per_site: int) -> list[str]:
        return [each.id for each in request_store.due(9, per_site)]

    first, second = submit("b", FLOOD), submit("a", FLOOD)
    other = submit("c", FEW)
    assert due(per_site=1) == [first]
    assert due(per_site=2) == [first, other]
    elsewhere = submit("0", FLOOD, "g.org")
    assert due(per_site=9) == [first, other, second, elsewhere]


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


def test_a_site_may_have_more_downloads_than_are_allowed_now(
    request_store: RequestStore, run_store: RunStore
):
    """They go on after the operator has lowered the limit; none is added to them."""
    for number, id in enumerate(ask(request_store, FLOOD, 3, host="f.org")):
        run_store.claim(id, f"run-{number}")
    other = ask(request_store, FEW, 1)
    ask(request_store, FEW, 1, "bulk", host="f.org")
    assert [each.id for each in request_store.due(9, per_site=2)] == other


def test_a_paced_site_has_one_bulk_download_of_all_owners(request_store: RequestStore):
    """The oldest; the slots of the site are more, and interactive ones use them."""
    paced = Pacing(pause_s=PerSite(10.0))
    urgent = ask(request_store, FEW, 2, host="f.org")
    first = ask(request_store, FLOOD, 2, "bulk", host="f.org")
    ask(request_store, FEW, 2, "bulk", host="f.org")
    elsewhere = ask(request_store, FEW, 1, "bulk", host="g.org")
    due = [each.id for each in request_store.due(9, 9, paced)]
    assert due == [*urgent, first[0], *elsewhere], "each site has one"


def test_uploads_wait_for_no_site(request_store: RequestStore, database_server: DatabaseServer):
    """Their audio is stored: they are due while every proxy cools down, in quiet hours, and beyond
    the slots of a site."""
    pacing = replace(quiet_now(database_server), proxies=("only",))
    record_failed(request_store.postgres, "only", "it hangs up")
    ask(request_store, FEW, 1)
    uploads = [
        request_store.submit(
            MediaSource(f"upload-{number}", "upload", title="a"),
            OPTIONS,
            owner=FEW,
            priority=priority,
        ).transcription.id
        for number, priority in enumerate(PRIORITIES)
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
