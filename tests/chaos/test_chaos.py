"""The short storm of CI, and that the checks would see what is wrong."""

from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest
from rich.console import Console

from tests.chaos import verify
from tests.chaos.channel_storm import ChannelStorm
from tests.chaos.clips import Clip
from tests.chaos.killer import RUN, VICTIMS, plan
from tests.chaos.outcome import print_outcome
from tests.chaos.run import RequestStorm
from tests.chaos.source import WHOLE, Asked
from tests.chaos.verify import Facts
from tests.support.servers.webhook_receiver import Received
from ytcaption.domain.events import EventType
from ytcaption.settings import Settings

STARTED, FAILED = EventType.STARTED, EventType.TRANSCRIPTION_FAILED
COMPLETED = EventType.TRANSCRIPTION_COMPLETED


@pytest.mark.slow
@pytest.mark.model
@pytest.mark.timeout(900)
def test_a_short_storm_loses_nothing(
    model_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sixteen requests, half a minute of killing, a full disk: all checks hold."""
    monkeypatch.setenv("YTCAPTION_MODEL_DIRECTORY", str(model_home))
    storm = RequestStorm(seed=5, count=16, storm_s=30, limit_s=600, console=Console())
    outcome = storm.run(tmp_path / "up.log")
    print_outcome(outcome, tmp_path / "up.log", Console())
    assert outcome.is_sound, outcome.wrong
    assert outcome.counts[f"killed: {RUN}"]


@pytest.mark.slow
@pytest.mark.model
@pytest.mark.timeout(600)
def test_a_channel_in_a_storm_loses_and_doubles_nothing(
    model_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Thirty items, some published while listings, runs and processes die: each is taken once."""
    monkeypatch.setenv("YTCAPTION_MODEL_DIRECTORY", str(model_home))
    storm = ChannelStorm(seed=6, count=30, storm_s=15, limit_s=400, console=Console())
    outcome = storm.run(tmp_path / "up.log")
    print_outcome(outcome, tmp_path / "up.log", Console())
    assert outcome.is_sound, outcome.wrong
    assert any(name.startswith("killed") for name in outcome.counts)


def test_a_seed_repeats_whom_it_kills_and_when() -> None:
    """And everybody's turn comes before anybody's comes twice, but for runs."""

    def first(seed: int) -> list[tuple[float, str, float]]:
        steps = plan(seed)
        return [next(steps) for _ in range(3 * len(VICTIMS))]

    assert first(7) == first(7) != first(8)
    others = [victim for _, victim, _ in first(7) if victim != RUN]
    assert sorted(others) == sorted(VICTIMS)


def row(id: str, **more: object) -> dict:
    """A transcription as Postgres has it."""
    return {"id": id, "status": "completed", "error_code": None, "error_message": None} | more


def event(kind: EventType, **data: object) -> dict:
    return {"event_id": uuid4(), "event_type": kind.value, "data": data}


def facts(rows: list[dict], *events: dict) -> Facts:
    """An installation's, in which the first transcription has these events."""
    by_id = {each["id"]: each for each in rows}
    settings = Settings(_env_file=None)  # pyright: ignore[reportCallIssue]
    return Facts(settings, by_id, {rows[0]["id"]: list(events)}, [], {}, set(), 0)


ONE = Asked(0, "http://127.0.1.1/a.flac", WHOLE, Clip("a.flac", []))


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (row("a", status="queued"), "still queued"),
        (row("a", status="failed", error_code="source_blocked"), "ended as source_blocked"),
        (row("a", status="failed", error_code="run_lost"), "ended as run_lost"),
        (row("b"), "lost"),
    ],
    ids=["not ended", "another cause", "lost at the first attempt", "gone"],
)
def test_a_wrong_ending_is_seen(found: dict, says: str) -> None:
    """One that has not ended, that failed by nothing its site did, that is not there."""
    told = facts([found], event(FAILED, code=found["error_code"]))
    assert any(says in wrong for wrong in verify.requests_ended_truly(told, {0: "a"}, [ONE]))


def test_what_was_lost_each_time_is_a_true_cause() -> None:
    """As many attempts as there may be, all of them to SIGKILL."""
    told = facts(
        [row("a", status="failed", error_code="run_lost")],
        *[event(EventType.RETRIED, code="run_lost")] * 3,
        event(FAILED, code="run_lost"),
    )
    assert verify.requests_ended_truly(told, {0: "a"}, [ONE]) == []


@pytest.mark.parametrize(
    ("events", "says"),
    [
        ([event(COMPLETED), event(COMPLETED)], "completed 2 times"),
        ([event(STARTED, attempt=1), event(STARTED, attempt=1), event(COMPLETED)], "twice"),
        ([event(COMPLETED), event(STARTED, attempt=2)], "went on"),
    ],
    ids=["two ends", "two starts", "work after the end"],
)
def test_work_that_was_done_twice_is_seen(events: list[dict], says: str) -> None:
    """By its events."""
    assert any(says in wrong for wrong in verify.work_was_done_once(facts([row("a")], *events)))


def test_webhooks_that_are_wrong_are_seen() -> None:
    """Missing, under another id, unsigned, with two bodies, undelivered."""
    ended = event(COMPLETED)
    told = facts([row("a")], ended)
    right = Received("/", {"webhook-id": str(ended["event_id"])}, b"{}", 0.0, (0,))
    assert verify.webhooks_arrived(told, [right]) == []
    assert verify.webhooks_arrived(told, [right, right]) == []
    for received, says in (
        ([], "nobody was told"),
        ([right, replace(right, headers={"webhook-id": "x"})], "no event"),
        ([replace(right, verified_by=())], "signature"),
        ([right, replace(right, body=b"[]")], "2 bodies"),
    ):
        assert any(says in wrong for wrong in verify.webhooks_arrived(told, received)), says
    told.deliveries.append({"status": "dead"})
    assert verify.webhooks_arrived(told, [right]) == ["1 deliveries are not delivered"]
