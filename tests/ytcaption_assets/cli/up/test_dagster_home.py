"""Dagster's configuration, environment and instance on a real Postgres."""

import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
import yaml

from sensors.jobs import EMBED_JOB, list_channel_job, transcribe_job
from ytcaption.domain.errors import DatabaseUnavailable, SetupError
from ytcaption.settings.settings import (
    Settings,
    load_settings,
)
from ytcaption_assets.cli.up.dagster_home import (
    code_server_socket,
    dagster_environment,
    dagster_instance,
    prepare_dagster_home,
    set_pool_limits,
)


def changed(settings: Settings, **values) -> Settings:
    return settings.changed(**values)


@pytest.mark.long
def test_the_instance_has_the_settings(settings):
    """Dagster reads storage, pools, queue, monitoring, threads and telemetry from them."""
    from dagster_postgres import PostgresEventLogStorage, PostgresRunStorage

    settings = changed(settings, download_slots=3, transcription_slots=2, max_runtime_s=1800)
    with dagster_instance(settings) as instance:
        set_pool_limits(instance, settings)
        assert isinstance(instance.run_storage, PostgresRunStorage)
        assert isinstance(instance.event_log_storage, PostgresEventLogStorage)
        limits = {each.name: each.limit for each in instance.event_log_storage.get_pool_limits()}
        assert limits == {
            "download": 3,
            "transcription": 2,
            "listing": settings.channels.listing_slots,
        }
        concurrency = instance.get_concurrency_config()
        assert concurrency.pool_config.pool_granularity.value == "op"
        queue = concurrency.run_queue_config
        assert queue is not None
        assert queue.max_concurrent_runs == 5 + settings.channels.listing_slots + 1
        assert {each["value"]: each["limit"] for each in queue.tag_concurrency_limits} == {
            transcribe_job.name: 5,
            list_channel_job.name: settings.channels.listing_slots,
            EMBED_JOB: 1,
        }
        assert instance.run_coordinator.dequeue_interval_seconds == 1
        monitoring = instance.run_monitoring_settings
        assert monitoring["enabled"]
        assert monitoring["poll_interval_seconds"] <= 15
        assert monitoring["max_runtime_seconds"] == 1800
        assert monitoring["free_slots_after_run_end_seconds"] == 5
        assert not instance.run_retries_enabled
        assert instance.get_settings("sensors")["use_threads"]
        assert not instance.get_settings("telemetry")["enabled"]
        assert instance.managed_python_loggers == [
            "ytcaption",
            "ytcaption_assets",
            "resources",
            "sensors",
            "api",
        ]


@pytest.mark.skipif(sys.platform != "linux", reason="macOS does not fork runs")
def test_one_setting_chooses_the_run_launcher(settings):
    """It applies to the instance of every process."""
    from dagster import DefaultRunLauncher

    from resources.orchestration.launcher import WarmRunLauncher

    for name, expected in (("warm", WarmRunLauncher), ("default", DefaultRunLauncher)):
        with dagster_instance(changed(settings, run_launcher=name)) as instance:
            assert type(instance.run_launcher) is expected


def test_a_pool_limit_can_be_lowered(settings):
    """A restart with fewer slots removes the others."""
    with dagster_instance(settings) as instance:
        for slots in (4, 1):
            set_pool_limits(instance, changed(settings, download_slots=slots))
            info = instance.event_log_storage.get_concurrency_info("download")
            assert info.slot_count == slots


def test_a_restart_keeps_pauses(settings):
    """The paused pool has no slots, the other one has its usual number."""
    with dagster_instance(settings) as instance:
        set_pool_limits(instance, settings)
        set_pool_limits(instance, settings, {"transcription", "intake"})
        limits = {each.name: each.limit for each in instance.event_log_storage.get_pool_limits()}
        assert limits == {
            "download": settings.runs.download_slots,
            "transcription": 0,
            "listing": settings.channels.listing_slots,
        }
        set_pool_limits(instance, settings)


def test_the_instance_is_persistent_and_does_not_change_the_environment(settings):
    """Partitions are still there when it is opened again; os.environ is not changed."""
    before = dict(os.environ)
    with dagster_instance(settings) as instance:
        instance.add_dynamic_partitions("transcriptions", ["a.b"])
    with dagster_instance(settings) as instance:
        assert instance.has_dynamic_partition("transcriptions", "a.b")
        instance.delete_dynamic_partition("transcriptions", "a.b")
    assert dict(os.environ) == before


@pytest.mark.slow
def test_a_child_process_opens_the_same_instance(settings):
    """A Dagster process only needs the environment, which has the changed settings, too."""
    settings = changed(settings, api_port=8123, sites=("vimeo", "youtube"))
    prepare_dagster_home(settings)
    code = (
        "import dagster as dg\n"
        "from ytcaption.settings.settings import load_settings\n"
        "settings = load_settings()\n"
        "with dg.DagsterInstance.get() as instance:\n"
        "    print(instance.root_directory, instance.get_runs_count() >= 0,"
        " settings.api.api_port, settings.download.sites)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        env=dagster_environment(settings),
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout == f"{settings.home}/dagster True 8123 ('vimeo', 'youtube')\n"


def test_the_environment_contains_every_setting(settings, monkeypatch):
    """Child processes have the settings of their parent."""
    parents = changed(
        settings,
        allowed_networks=("127.0.0.0/8", "10.0.0.0/8"),
        model_directory=settings.home / "weights",
        device="cpu",
        max_audio_s=12.5,
    )
    for name, value in dagster_environment(parents).items():
        monkeypatch.setenv(name, value)
    assert load_settings() == parents


def test_files_are_only_written_when_they_change(settings):
    """Dagster reloads a workspace file that changes. The folder is closed to other users."""
    home = prepare_dagster_home(settings)
    assert home.stat().st_mode & 0o777 == 0o700
    files = [home / "dagster.yaml", home / "workspace.yaml"]
    before = [file.stat().st_mtime_ns for file in files]
    prepare_dagster_home(settings)
    assert [file.stat().st_mtime_ns for file in files] == before
    prepare_dagster_home(changed(settings, max_runtime_s=60))
    assert yaml.safe_load(files[0].read_text())["run_monitoring"]["max_runtime_seconds"] == 60
    assert sorted(os.listdir(home)) == ["dagster.yaml", "workspace.yaml"]


@pytest.mark.parametrize("name", ['quo\'te "and" $dollar: #1', "ünïcode", "x" * 120])
def test_homes_with_odd_and_long_names_work(tmp_path, name):
    """Paths are quoted in YAML, and a socket's path stays within the system's 107 bytes."""
    settings = Settings(home=tmp_path / name)
    home = prepare_dagster_home(settings)
    instance = yaml.safe_load((home / "dagster.yaml").read_text())
    assert instance["compute_logs"]["config"]["base_dir"] == str(home / "logs")
    workspace = yaml.safe_load((home / "workspace.yaml").read_text())
    socket = workspace["load_from"][0]["grpc_server"]["socket"]
    assert socket == str(code_server_socket(settings))
    assert len(os.fsencode(socket)) <= 103


def test_an_unwritable_home_is_one_sentence():
    """It names the setting to change."""
    with pytest.raises(SetupError, match="Set YTCAPTION_HOME"):
        prepare_dagster_home(Settings(home=Path("/proc/self/ytcaption")))


def test_an_unavailable_database_is_one_sentence(tmp_path):
    """The error has no driver's traceback and no address."""
    settings = Settings(home=tmp_path, dagster_database_url="postgresql://u:secret@127.0.0.1:9/d")
    with (
        pytest.raises(DatabaseUnavailable, match="Dagster's database does not answer") as caught,
        dagster_instance(settings) as instance,
    ):
        assert isinstance(instance, dg.DagsterInstance)
    assert "secret" not in str(caught.value)
