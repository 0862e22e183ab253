"""The daemon that `up` starts wakes as soon as there is work."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from ytcaption_assets.cli.up import dagster_daemon
from ytcaption_assets.cli.up.dagster_daemon import WakeUp, WakingExecutor, prompt_daemons
from ytcaption_assets.cli.up.dagster_home import dagster_instance


@pytest.mark.postgres
@pytest.mark.long
def test_every_daemon_that_dagster_requires_exists(settings):
    """Two of them are ours."""
    with dagster_instance(settings) as instance:
        daemons = list(prompt_daemons(instance))
        assert {each.daemon_type() for each in daemons} == set(instance.get_required_daemon_types())
        names = {type(each).__name__ for each in daemons}
        assert names > {"PromptSensorDaemon", "PromptQueueDaemon", "MonitoringDaemon"}


def test_the_end_of_a_tick_wakes_every_loop(monkeypatch):
    """They wake long before their own timeout."""
    monkeypatch.setattr(dagster_daemon, "IDLE_S", 60.0)
    wake_up, shutdown = WakeUp(), threading.Event()
    loops = [threading.Thread(target=wake_up.sleep(shutdown).wait, daemon=True) for _ in range(2)]
    for loop in loops:
        loop.start()
    with ThreadPoolExecutor() as executor:
        assert WakingExecutor(executor, wake_up).submit(lambda: "a tick").result() == "a tick"
    for loop in loops:
        loop.join(20)
    assert not any(loop.is_alive() for loop in loops)


def test_a_wake_up_while_a_loop_works_is_not_lost(monkeypatch):
    """The loop skips its next sleep. It also sees that the daemon should end."""
    monkeypatch.setattr(dagster_daemon, "IDLE_S", 60.0)
    wake_up, shutdown = WakeUp(), threading.Event()
    sleep = wake_up.sleep(shutdown)
    ended = []
    loop = threading.Thread(target=lambda: ended.append(sleep.wait()), daemon=True)
    wake_up.wake()
    shutdown.set()
    loop.start()
    loop.join(20)
    assert ended == [True]
