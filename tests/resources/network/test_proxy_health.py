"""Health of the operator's proxies: failing ones cool down and are used again later."""

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
from ytcaption.settings.settings import Settings

A, B, C = (f"http://proxy-{name}.example:3128" for name in "abc")
ALL = (A, B, C)
SOURCE = MediaSource("url-x", "site", "https://www.youtube.com/x", "Youtube")


def available(postgres: Postgres, names: tuple[str, ...] = ALL) -> tuple[str, ...]:
    with postgres.transaction() as connection:
        return available_proxies(connection, names)


def health(postgres: Postgres, name: str) -> ProxyHealth:
    return {each.name: each for each in proxy_health(postgres, ALL)}[name]


def test_the_least_recently_used_comes_first(postgres: Postgres):
    """The others follow in the same order."""
    assert [available(postgres)[0] for _ in range(5)] == [A, B, C, A, B]
    assert available(postgres) == (C, A, B)
    assert available(postgres, ()) == ()


def test_a_failing_proxy_cools_down_longer_each_time(clock: Clock, postgres: Postgres):
    """For 1, 2, 4 ... minutes, at most an hour; a success resets the count."""
    for number, cool_down_s in enumerate((60, 120, 240), start=1):
        record_failed(postgres, A, "it does not answer")
        assert A not in available(postgres)
        seen = health(postgres, A)
        assert (seen.failures, seen.error) == (number, "it does not answer")
        clock.forward(cool_down_s - 2)
        assert A not in available(postgres)
        clock.forward(3)
        assert A in available(postgres)
        assert health(postgres, A).cooling_until is None
    for _ in range(30):
        record_failed(postgres, A, "it does not answer")
    clock.forward(3601)
    assert A in available(postgres)
    record_worked(postgres, A)
    assert health(postgres, A).failures == 0


def test_nothing_is_downloaded_while_all_cool_down(
    clock: Clock, request_store: RequestStore, run_store: RunStore
):
    """No download goes without a proxy: all wait until the first is available, and lose no try."""
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


def test_a_refused_proxy_cools_down_if_there_is_another(postgres: Postgres):
    """The last available one stays in use: then the circuit breaker decides."""
    available(postgres)
    available(postgres)
    record_refused(postgres, A, (A, B), "youtube.com")
    assert available(postgres, (A, B)) == (B,)
    assert health(postgres, A).error == "youtube.com refuses it"
    record_refused(postgres, B, (A, B), "youtube.com")
    assert available(postgres, (A, B)) == (B,)


def test_the_outcome_of_a_download_is_recorded(
    postgres: Postgres, settings: Settings, monkeypatch: pytest.MonkeyPatch
):
    """Bytes count; a proxy that failed or was refused cools down."""
    monkeypatch.setenv("YTCAPTION_PROXIES", ",".join(ALL))
    known = Settings(_env_file=None)  # pyright: ignore[reportCallIssue]
    available(postgres)
    available(postgres)
    with (
        pytest.raises(SourceBlocked),
        egress_route(known, postgres, SOURCE, (A, B)) as route,
    ):
        assert [each.name for each in route.upstreams] == [A, B]
        route.traffic.bytes_received = 1234
        route.traffic.upstream.errors[A] = "it answers 407"
        route.traffic.upstream.works = B
        raise SourceBlocked("It refuses.")
    assert available(postgres) == (C,)
    assert health(postgres, A).failures == 1 and health(postgres, B).error
    (row,) = postgres.rows("select site, bytes from ytcaption.site_day", {})
    assert (row["site"], row["bytes"]) == ("youtube.com", 1234)


def test_status_names_no_password(settings: Settings, postgres: Postgres, tmp_path: Path, capsys):
    """It shows each proxy's address and health."""
    from rich.console import Console

    from ytcaption_assets.cli.up.status import print_proxies

    record_failed(postgres, A, "it answers 407")
    print_proxies(proxy_health(postgres, ALL), Console(width=200))
    shown = capsys.readouterr().out
    assert "cooling down until" in shown and "it answers 407" in shown and shown.count("ok") == 2
