"""Dagster's daemon and code server while the clock is set under them (rule 56)."""

import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from resources.processes.native_threads import decoding_environment
from resources.processes.runtime_directory import make_runtime_directory
from tests.support.fake_clock import LIBRARY, FakeClock
from tests.support.patience import wait_for
from ytcaption.settings.settings import Settings
from ytcaption_assets.cli.up.dagster_home import dagster_environment, dagster_instance
from ytcaption_assets.cli.up.program_list import programs

pytestmark = [
    pytest.mark.slow,
    pytest.mark.postgres,
    pytest.mark.skipif(LIBRARY is None, reason="needs libfaketime: apt install faketime"),
]

HOUR_S, DAY_S = 3_600, 86_400
SENSORS = ("transcription_sensor", "channel_sensor", "run_failed_sensor", "maintenance_sensor")


class Orchestration:
    """A code server and a daemon on a clock that can be set; Postgres has the right time."""

    def __init__(self, settings: Settings, instance: dg.DagsterInstance, clock: FakeClock) -> None:
        self.clock = clock
        self._settings, self._instance = settings, instance
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Start both."""
        environment = decoding_environment(dagster_environment(self._settings))
        known = {
            each.name: each for each in programs(self._settings, self._instance, webserver=False)
        }
        for name in ("code", "daemon"):
            process = subprocess.Popen(
                known[name].arguments,
                env=environment | self.clock.environment | {"TZ": "Europe/Berlin"},
                start_new_session=True,
            )
            self._processes.append(process)
            if name == "code":
                wait_for(lambda: known["code"].is_ready(0.0), 60)

    def signal(self, number: int) -> None:
        """Send a signal to both."""
        for process in self._processes:
            os.killpg(process.pid, number)

    def stop(self) -> None:
        """End both."""
        self.signal(signal.SIGKILL)
        for process in self._processes:
            process.wait()
        self._processes.clear()

    def ticks_of(self, *names: str) -> list[float]:
        """When each sensor last began a tick, by its own clock."""
        states = {each.instigator_name: each for each in self._instance.all_instigator_state()}
        data = [states[name].instigator_data if name in states else None for name in names]
        return [getattr(each, "last_tick_start_timestamp", None) or 0.0 for each in data]

    def schedule_times(self, name: str) -> list[datetime]:
        """For which times a schedule has ticked."""
        states = {each.instigator_name: each for each in self._instance.all_instigator_state()}
        state = states.get(name)
        if state is None:
            return []
        ticks = self._instance.get_ticks(state.instigator_origin_id, state.selector_id)
        return [datetime.fromtimestamp(tick.timestamp, UTC) for tick in ticks]

    def wait_for_ticks(self, *names: str, seconds: float = 90.0) -> None:
        """Wait until each sensor has ticked after this moment, by the clock as it is now."""
        since = self.clock.time()

        def ticked() -> bool:
            return all(since <= at < self.clock.time() + 5 for at in self.ticks_of(*names))

        wait_for(ticked, seconds)


@pytest.fixture
def orchestration(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Orchestration]:
    """It has ticked once."""
    with ExitStack() as stack:
        # Short, as socket paths must be.
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ytc", dir="/tmp")))
        monkeypatch.setenv("YTCAPTION_HOME", str(folder / "home"))
        here = settings.changed(home=folder / "home")
        here.home.mkdir(mode=0o700)
        make_runtime_directory(here.home)
        instance = stack.enter_context(dagster_instance(here))
        for state in instance.all_instigator_state():  # of an earlier test
            instance.delete_instigator_state(state.instigator_origin_id, state.selector_id)
        found = Orchestration(here, instance, FakeClock(folder / "clock"))
        stack.callback(found.stop)
        found.start()
        found.wait_for_ticks(*SENSORS)
        yield found


def test_an_hour_back_stops_no_sensor(orchestration: Orchestration):
    """All tick within seconds, by the clock as it is now; also after a restart in the past."""
    orchestration.clock.set(-HOUR_S)
    orchestration.wait_for_ticks(*SENSORS)
    orchestration.stop()
    orchestration.clock.set(-2 * HOUR_S)
    orchestration.start()
    orchestration.wait_for_ticks(*SENSORS)


def test_a_day_forward_and_back_stops_no_sensor(orchestration: Orchestration):
    """An hour forward, a day forward, and back to the right time."""
    for offset_s in (HOUR_S, DAY_S, 0):
        orchestration.clock.set(offset_s)
        orchestration.wait_for_ticks(*SENSORS)


def test_a_suspended_machine_continues(orchestration: Orchestration):
    """All processes stand still, and when they go on eight hours have passed."""
    orchestration.signal(signal.SIGSTOP)
    orchestration.clock.set(8 * HOUR_S)
    orchestration.signal(signal.SIGCONT)
    orchestration.wait_for_ticks(*SENSORS)


def test_every_schedule_ticks_once_in_the_night_when_clocks_change(orchestration: Orchestration):
    """At 02:00 in Berlin it is 03:00 at once; the schedules go by UTC."""
    night = datetime(datetime.now(UTC).year + 1, 3, 31, tzinfo=UTC)
    night -= timedelta(days=(night.weekday() + 1) % 7)  # the last Sunday of March
    for name, at in (
        ("maintenance_schedule", night + timedelta(hours=3, minutes=23)),
        ("library_schedule", night + timedelta(hours=3, minutes=53)),
    ):
        orchestration.clock.set((at - datetime.now(UTC)).total_seconds() - 20)
        wait_for(lambda name=name, at=at: at in orchestration.schedule_times(name), 120)
        assert orchestration.schedule_times(name).count(at) == 1
        tonight = [each for each in orchestration.schedule_times(name) if each >= night]
        assert tonight == [at]
