"""A short storm for CI, and tests that the checks detect what is wrong."""

from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest
from rich.console import Console

from tests.chaos import verify
from tests.chaos.channel_storm import ChannelStorm
from tests.chaos.clips import Clip
from tests.chaos.disturbances import MakeSurroundings, embedded, remote
from tests.chaos.killer import RUN, VICTIMS, plan
from tests.chaos.outcome import print_outcome
from tests.chaos.run import RequestStorm
from tests.chaos.source import SOUND, ChaosRequest
from tests.chaos.verify import Facts
from tests.support.servers.webhook_receiver import Received
from ytcaption.domain.events import EventType
from ytcaption.settings.settings import Settings

STARTED, FAILED = EventType.STARTED, EventType.TRANSCRIPTION_FAILED
COMPLETED = EventType.TRANSCRIPTION_COMPLETED


@pytest.mark.slow
@pytest.mark.model
@pytest.mark.timeout(900)
@pytest.mark.parametrize("surroundings", [embedded, remote])
def test_a_short_storm_loses_nothing(
    surroundings: MakeSurroundings,
    model_home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All checks hold after sixteen requests, half a minute of kills and each disturbance."""
    monkeypatch.setenv("YTCAPTION_MODEL_DIRECTORY", str(model_home))
    storm = RequestStorm(
        seed=5,
        count=16,
        storm_s=30,
        limit_s=600,
        console=Console(),
        surroundings=surroundings,
    )
    outcome = storm.run(tmp_path / "up.log")
    print_outcome(outcome, tmp_path / "up.log", Console())
    assert outcome.is_sound, outcome.wrong
    assert outcome.counts[f"killed: {RUN}"]


@pytest.mark.slow
@pytest.mark.model
@pytest.mark.timeout(600)
def test_a_channel_in_a_storm_loses_and_duplicates_nothing(
    model_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of thirty items is queued once while listings, runs and other processes die."""
    monkeypatch.setenv("YTCAPTION_MODEL_DIRECTORY", str(model_home))
    storm = ChannelStorm(seed=6, count=30, storm_s=15, limit_s=400, console=Console())
    outcome = storm.run(tmp_path / "up.log")
    print_outcome(outcome, tmp_path / "up.log", Console())
    assert outcome.is_sound, outcome.wrong
    assert any(name.startswith("killed") for name in outcome.counts)


def test_a_seed_determines_victims_and_times() -> None:
    """Except for runs, each victim is killed once before any is killed twice."""

    def first(seed: int) -> list[tuple[float, str, float]]:
        steps = plan(seed)
        return [next(steps) for _ in range(3 * len(VICTIMS))]

    assert first(7) == first(7) != first(8)
    others = [victim for _, victim, _ in first(7) if victim != RUN]
    assert sorted(others) == sorted(VICTIMS)


def row(id: str, **more: object) -> dict:
    """Return a row of the table transcription."""
    return {"id": id, "status": "completed", "error_code": None, "error_message": None} | more


def event(kind: EventType, **data: object) -> dict:
    return {"event_id": uuid4(), "event_type": kind.value, "data": data}


def facts(rows: list[dict], *events: dict) -> Facts:
    """Return the state of an installation whose first transcription has these events."""
    by_id = {each["id"]: each for each in rows}
    settings = Settings(_env_file=None)  # pyright: ignore[reportCallIssue]
    return Facts(settings, by_id, {rows[0]["id"]: list(events)}, [], {}, set(), 0)


ONE = ChaosRequest(0, "http://127.0.1.1/a.flac", SOUND, Clip("a.flac", []))


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        (row("a", status="queued"), "still queued"),
        (row("a", status="failed", error_code="source_blocked"), "ended as source_blocked"),
        (row("a", status="failed", error_code="run_lost"), "ended as run_lost"),
        (row("b"), "lost"),
    ],
    ids=["not ended", "another cause", "lost at the first attempt", "missing"],
)
def test_a_wrong_ending_is_detected(stored: dict, expected: str) -> None:
    """It has not ended, failed without a fault of its site, or is missing."""
    state = facts([stored], event(FAILED, code=stored["error_code"]))
    wrong = verify.requests_ended_truly(state, {0: "a"}, [ONE])
    assert any(expected in sentence for sentence in wrong)


def test_a_transcription_that_lost_all_its_runs_may_fail() -> None:
    """All of its attempts were killed."""
    state = facts(
        [row("a", status="failed", error_code="run_lost")],
        *[event(EventType.RETRIED, code="run_lost")] * 3,
        event(FAILED, code="run_lost"),
    )
    assert verify.requests_ended_truly(state, {0: "a"}, [ONE]) == []


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([event(COMPLETED), event(COMPLETED)], "completed 2 times"),
        ([event(STARTED, attempt=1), event(STARTED, attempt=1), event(COMPLETED)], "twice"),
        ([event(COMPLETED), event(STARTED, attempt=2)], "continued after its end"),
    ],
    ids=["two ends", "two starts", "work after the end"],
)
def test_work_that_was_done_twice_is_detected(events: list[dict], expected: str) -> None:
    """The events show it."""
    wrong = verify.work_was_done_once(facts([row("a")], *events))
    assert any(expected in sentence for sentence in wrong)


def test_wrong_webhooks_are_detected() -> None:
    """They are missing, under another id, unsigned, with two bodies, or undelivered."""
    final = event(COMPLETED)
    state = facts([row("a")], final)
    right = Received("/", {"webhook-id": str(final["event_id"])}, b"{}", 0.0, (0,))
    assert verify.webhooks_arrived(state, [right]) == []
    assert verify.webhooks_arrived(state, [right, right]) == []
    for received, expected in (
        ([], "no webhook about"),
        ([right, replace(right, headers={"webhook-id": "x"})], "is not an event"),
        ([replace(right, verified_by=())], "signature"),
        ([right, replace(right, body=b"[]")], "2 bodies"),
    ):
        wrong = verify.webhooks_arrived(state, received)
        assert any(expected in sentence for sentence in wrong), expected
    state.deliveries.append({"status": "dead"})
    assert verify.webhooks_arrived(state, [right]) == ["1 deliveries are not delivered"]
