"""Health of the operator's proxies: those that fail rest, and are taken again later."""

from pathlib import Path

import pytest

from resources.download.egress import egress_route
from resources.network.proxy_health import (
    ProxyHealth,
    available_proxies,
    proxy_health,
    record_failed,
    record_refused,
    record_worked,
)
from resources.postgres.connection import Postgres
from resources.transcriptions.reads import get_transcription
from resources.transcriptions.run_store import RunStore
from resources.transcriptions.store import RequestStore
from tests.resources.sites.test_circuit_breaker import submit
from tests.support.clock import Clock, clock  # noqa: F401 - a fixture
from ytcaption.domain.errors import SourceBlocked, SourcePaused
from ytcaption.domain.media.media import MediaSource
from ytcaption.domain.media.pacing import Pacing
from ytcaption.settings import Settings

A, B, C = (f"http://proxy-{name}.example:3128" for name in "abc")
ALL = (A, B, C)
SOURCE = MediaSource("url-x", "site", "https://www.youtube.com/x", "Youtube")


def turn(postgres: Postgres, names: tuple[str, ...] = ALL) -> tuple[str, ...]:
    with postgres.transaction() as connection:
        return available_proxies(connection, names)


def health(postgres: Postgres, name: str) -> ProxyHealth:
    return {each.name: each for each in proxy_health(postgres, ALL)}[name]


def test_they_take_turns(postgres: Postgres):
    """The one that has not been used for longest is first; the others stand behind it."""
    assert [turn(postgres)[0] for _ in range(5)] == [A, B, C, A, B]
    assert turn(postgres) == (C, A, B)
    assert turn(postgres, ()) == ()


def test_one_that_fails_rests_longer_each_time(clock: Clock, postgres: Postgres):
    """A minute, two, four ..., an hour at most; once it works all is forgotten."""
    for number, rest_s in enumerate((60, 120, 240), start=1):
        record_failed(postgres, A, "it does not answer")
        assert A not in turn(postgres)
        seen = health(postgres, A)
        assert (seen.failures, seen.error) == (number, "it does not answer")
        clock.forward(rest_s - 2)
        assert A not in turn(postgres)
        clock.forward(3)
        assert A in turn(postgres)
        assert health(postgres, A).cooling_until is None
    for _ in range(30):
        record_failed(postgres, A, "it does not answer")
    clock.forward(3601)
    assert A in turn(postgres)
    record_worked(postgres, A)
    assert health(postgres, A).failures == 0


def test_while_all_rest_nothing_is_downloaded(
    clock: Clock, request_store: RequestStore, run_store: RunStore
):
    """Never without a proxy: whatever waits is due when the first of them is taken again, with as
    many tries as it had."""
    pacing = Pacing(proxies=(A, B))
    late = submit(request_store, "late")
    run_store.claim(late, "late")
    waits = submit(request_store, "waits")
    record_failed(request_store.postgres, A, "it hangs up")
    assert [each.id for each in request_store.due(9, 9, pacing)] == [waits]
    record_failed(request_store.postgres, B, "it hangs up")
    record_failed(request_store.postgres, B, "it hangs up")
    assert request_store.due(9, 9, pacing) == []
    assert request_store.next_due_in_s(9, pacing) == pytest.approx(60, abs=3)
    with pytest.raises(SourcePaused, match="No proxy"):
        run_store.begin_download(late, "late", 9, pacing)
    row = get_transcription(request_store.postgres, late)
    assert row.try_number == 1
    wait_s = (row.next_attempt_at - row.updated_at).total_seconds()
    assert wait_s == pytest.approx(60, abs=3), "no run is made for it before"
    clock.forward(61)
    assert {each.id for each in request_store.due(9, 9, pacing)} == {late, waits}
    run_store.claim(waits, "run")
    assert run_store.begin_download(waits, "run", 9, pacing) == (A,)


def test_one_that_a_site_refuses_rests_where_there_is_another(postgres: Postgres):
    """The last one goes on: then it is the breaker's to wait."""
    turn(postgres)
    turn(postgres)
    record_refused(postgres, A, (A, B), "youtube.com")
    assert turn(postgres, (A, B)) == (B,)
    assert health(postgres, A).error == "youtube.com refuses it"
    record_refused(postgres, B, (A, B), "youtube.com")
    assert turn(postgres, (A, B)) == (B,)


def test_what_a_download_saw_is_noted(
    postgres: Postgres, settings: Settings, monkeypatch: pytest.MonkeyPatch
):
    """Bytes count, the proxy that failed rests, the one that worked and was refused does, too."""
    monkeypatch.setenv("YTCAPTION_PROXIES", ",".join(ALL))
    known = Settings(_env_file=None)  # pyright: ignore[reportCallIssue]
    turn(postgres)
    turn(postgres)
    with (
        pytest.raises(SourceBlocked),
        egress_route(known, postgres, SOURCE, (A, B)) as route,
    ):
        assert [each.name for each in route.upstreams] == [A, B]
        route.traffic.bytes_received = 1234
        route.traffic.upstream.errors[A] = "it answers 407"
        route.traffic.upstream.works = B
        raise SourceBlocked("It refuses.")
    assert turn(postgres) == (C,)
    assert health(postgres, A).failures == 1 and health(postgres, B).error
    (row,) = postgres.rows("select site, bytes from ytcaption.site_day", {})
    assert (row["site"], row["bytes"]) == ("youtube.com", 1234)


def test_status_names_no_password(settings: Settings, postgres: Postgres, tmp_path: Path, capsys):
    """Of each proxy its address, and how it is."""
    from rich.console import Console

    from ytcaption_assets.cli.up.status import print_proxies

    record_failed(postgres, A, "it answers 407")
    print_proxies(proxy_health(postgres, ALL), Console(width=200))
    shown = capsys.readouterr().out
    assert "rests until" in shown and "it answers 407" in shown and shown.count("ok") == 2
