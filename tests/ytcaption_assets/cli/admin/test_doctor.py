"""`ytcaption doctor`, `admin retention` and `admin pin`: output for people and for programs."""

import json

import pytest
from click.testing import Result
from typer.testing import CliRunner

from resources.object_store.store import audio_key
from resources.transcriptions.reads import get_media
from tests.resources.maintenance.installation import House, clean_instance, dagster_home, house  # noqa: F401 - fixtures
from tests.resources.maintenance.test_erasure import MEDIA
from ytcaption.domain.errors import TranscriptionNotFound
from ytcaption_assets.cli.main import app


def ytcaption(*arguments: str) -> Result:
    """Run the command on the test installation; raise its errors."""
    result = CliRunner(env={"COLUMNS": "200"}).invoke(app, arguments)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.mark.long
def test_doctor_reports_then_repairs(house: House):
    """The exit status is 1 while something is wrong; the report says what --repair would do."""
    house.here.completed(in_lake=True)
    house.objects.delete(audio_key(MEDIA.media_id, "webm"))
    result = ytcaption("doctor")
    assert result.exit_code == 1
    assert MEDIA.media_id in result.stdout and "repair to be made" in result.stdout
    assert get_media(house.here.store.postgres, MEDIA.media_id).audio is not None
    assert ytcaption("doctor", "--repair").exit_code == 0
    assert get_media(house.here.store.postgres, MEDIA.media_id).audio is None
    assert "All is well." in ytcaption("doctor", "--repair").stdout


@pytest.mark.slow
def test_doctor_reports_what_it_could_not_repair_as_json(house: House):
    """The JSON has the reason; the exit status is 1 after the repair, too."""
    id = house.here.completed()
    house.objects.delete(f"transcripts/{id}.json")
    house.execute("delete from ytcaption.segment")
    result = ytcaption("doctor", "--repair", "--json")
    assert result.exit_code == 1
    [finding] = [each for each in json.loads(result.stdout) if each["code"] == "document_missing"]
    assert finding["found"] == [id] and "force" in finding["left"][id]
    assert finding["repaired"] == finding["mended"] == []  # its name before 0.2


@pytest.mark.slow
@pytest.mark.parametrize("command", ["pin", "keep"])
def test_retention_spares_pinned_audio_and_is_a_dry_run_by_default(house: House, command: str):
    """`keep`, the old name of `pin`, still works."""
    id = house.here.completed()
    house.age(id, 100)
    assert "media whose audio is older" in ytcaption("admin", "retention").stdout
    assert get_media(house.here.store.postgres, MEDIA.media_id).audio is not None
    assert "1 transcriptions are pinned." in ytcaption("admin", command, id).stdout
    assert "Nothing is too old." in ytcaption("admin", "retention", "--apply").stdout
    assert ytcaption("admin", command, id, "--off").exit_code == 0
    assert ytcaption("admin", "retention", "--apply").exit_code == 0
    assert get_media(house.here.store.postgres, MEDIA.media_id).audio is None


def test_pinning_an_unknown_transcription_is_refused(house: House):
    """The message names the id."""
    with pytest.raises(TranscriptionNotFound, match="no transcription nothing"):
        ytcaption("admin", "pin", "nothing.x")


def test_the_old_name_of_pin_is_hidden():
    """`admin --help` lists `pin` only."""
    listed = ytcaption("admin", "--help").stdout
    assert " pin " in listed and " keep " not in listed


@pytest.mark.slow
def test_dagsters_job_and_sensor_run_the_same_checks(house: House):
    """Counts are in the run's metadata; the sensor's skip reason says what it repaired."""
    import dagster as dg

    from sensors.maintenance_schedule import (
        maintenance,
        maintenance_schedule,
    )
    from sensors.maintenance_sensor import maintenance_sensor

    id = house.here.completed()
    house.age(id, 100)
    made = maintenance.execute_in_process(instance=house.instance)
    assert made.success
    counts = {
        name: value.value
        for event in made.all_node_events
        if event.event_type is dg.DagsterEventType.STEP_OUTPUT
        for name, value in event.step_output_data.metadata.items()
    }
    assert counts["audio_old"] == 1 and counts["file_without_row"] == 0
    assert MEDIA.media_id in str(counts["audio_old_names"])
    assert maintenance_schedule.default_status is dg.DefaultScheduleStatus.RUNNING
    context = dg.build_sensor_context(instance=house.instance)
    assert maintenance_sensor(context).skip_message == "All is well."
    house.here.running()
    house.execute("update ytcaption.transcription set heartbeat_at = now() - interval '2 min'")
    assert (
        "running_without_process: 1 found, 1 repaired." in maintenance_sensor(context).skip_message
    )
