"""What stands still, judged by work done."""

import time
import uuid

import psycopg
import pytest

from resources.alerts import Alerts, Operators
from resources.maintenance import pipeline_watch
from resources.maintenance.pipeline_watch import PipelineWatch
from resources.maintenance.standstill import standstills
from resources.orchestration.orchestrator import Orchestrator
from resources.orchestration.pauses import pause
from resources.orchestration.ticks import Tick
from resources.postgres.connection import Postgres
from resources.transcriptions.run_store import RunStore
from resources.transcriptions.store import RequestStore
from tests.support.clock import Clock, clock  # noqa: F401 - a fixture
from tests.support.instigators import sensor_state
from ytcaption.domain.media.media import MediaSource
from ytcaption.domain.request import TranscriptionOptions
from ytcaption.settings.settings import Settings
from ytcaption_assets.cli.up.dagster_home import dagster_instance

pytestmark = pytest.mark.postgres


class Pipeline:
    """A queue, and what an operator sees of it."""

    def __init__(self, clock: Clock, settings: Settings) -> None:
        self.clock, self.settings = clock, settings
        self._dated: list[uuid.UUID] = []
        self.store = RequestStore.from_settings(settings, "admin")
        self.runs = RunStore.from_settings(settings, "admin")

    def forward(self, seconds: float) -> None:
        """Let time pass, and nothing else happen. Events are dated by another clock than `now()`"""
        with psycopg.connect(self.clock.server.superuser_url) as connection:
            connection.execute("set session_replication_role = replica")
            rows = connection.execute(
                'update ytcaption.event set "timestamp" = now() '
                "where event_id <> all(%s) returning event_id",
                (self._dated,),
            ).fetchall()
        self._dated += [row[0] for row in rows]
        self.clock.forward(seconds)

    def request(self, number: int) -> str:
        source = MediaSource(f"direct-{number}", "direct", f"https://{number}.example/a.mp3")
        return self.store.submit(source, TranscriptionOptions("base")).transcription.id

    @property
    def still(self) -> list[str]:
        """Parts that stand still, by the rights of the API."""
        api = Postgres.from_settings(self.settings, "api")
        return [each.part for each in standstills(self.settings, api, [])]


@pytest.fixture
def pipeline(clock: Clock, settings: Settings) -> Pipeline:
    return Pipeline(clock, settings.changed(standstill_s=120, pause_reminder_s=3_600))


def test_a_queue_stands_still_when_due_work_is_not_begun(pipeline: Pipeline):
    """Not at once, and no longer when a run begins or another one is requested late."""
    id = pipeline.request(1)
    assert pipeline.still == []
    pipeline.forward(100)
    assert pipeline.still == []
    pipeline.request(2)  # requests are no work
    pipeline.forward(30)
    assert pipeline.still == ["transcriptions"]

    pipeline.runs.claim(id, "run-1")
    pipeline.forward(100)
    assert pipeline.still == []
    pipeline.runs.fail(id, "run-1", "media_private", "It is private.", False, 4)
    pipeline.forward(100)
    assert pipeline.still == []
    pipeline.forward(30)
    assert pipeline.still == ["transcriptions"]


def test_a_full_pipeline_does_not_stand_still(pipeline: Pipeline):
    """All slots have runs that live; what waits for a slot is held back."""
    slots = pipeline.settings.concurrent_runs
    ids = [pipeline.request(number) for number in range(slots + 3)]
    for number in range(slots):
        pipeline.runs.claim(ids[number], f"run-{number}")
    pipeline.forward(600)
    for number in range(slots):
        pipeline.runs.heartbeat(ids[number], f"run-{number}")
    assert pipeline.still == []
    pipeline.forward(600)  # without a heartbeat the runs are dead
    assert pipeline.still == ["transcriptions"]


def test_what_an_operator_or_a_retry_holds_back_is_no_standstill(pipeline: Pipeline, settings):
    """But a pause that is old is worth a reminder, which is no fault."""
    id = pipeline.request(1)
    pipeline.runs.claim(id, "run-1")
    pipeline.runs.fail(id, "run-1", "source_unavailable", "Down.", True, 4, retry_after_s=900.0)
    pipeline.forward(600)
    assert pipeline.still == []
    admin = Postgres.from_settings(settings, "admin")
    pause(admin, "download", "a full disk", "local")
    pipeline.forward(600)
    assert pipeline.still == []
    pipeline.forward(3_600)
    [reminder] = standstills(pipeline.settings, admin, [])
    assert (reminder.part, reminder.is_fault) == ("pause", False)
    assert "ytcaption admin resume download" in reminder.reason


def test_the_watch_tells_operators_once(pipeline: Pipeline, settings, monkeypatch):
    """After the standstill was confirmed; it resets what waits for a clock that was set back."""
    monkeypatch.setattr(pipeline_watch, "CONFIRMED_S", 0.0)
    api = Postgres.from_settings(settings, "api")
    with dagster_instance(settings) as instance:
        for state in instance.all_instigator_state():
            instance.delete_instigator_state(state.instigator_origin_id, state.selector_id)
        instance.add_instigator_state(sensor_state("channel_sensor", time.time() + 3_600))
        watch = PipelineWatch(pipeline.settings, api, Orchestrator(instance))
        pipeline.request(1)
        pipeline.forward(200)
        watch.look()
        watch.look()
        [state] = instance.all_instigator_state()
        assert state.instigator_data.last_tick_start_timestamp <= time.time()
    rows = api.rows("select subject, number from ytcaption.alert where code = 'standstill'", {})
    assert {row["subject"]: row["number"] for row in rows} == {"sensors": 1, "transcriptions": 1}
    assert Alerts(Operators(settings), api).send_due_alerts() == 2


def test_a_sensor_that_does_not_tick_is_named(pipeline: Pipeline):
    """With its age and what to do."""
    [found] = standstills(
        pipeline.settings,
        pipeline.store.postgres,
        [Tick("channel_sensor", 75.0, "still"), Tick("run_end_sensor", 2.0, None)],
    )
    assert (found.part, found.since_s, found.is_fault) == ("sensors", 75.0, True)
    assert "channel_sensor has not ticked for 75 s" in found.reason
    assert "run_end_sensor" not in found.reason
