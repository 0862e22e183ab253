"""`ytcaption doctor`, `admin retention` and `admin keep`: what a person sees and a script gets."""

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
    """The command on the tests' installation; errors come as exceptions."""
    result = CliRunner(env={"COLUMNS": "200"}).invoke(app, arguments)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_doctor_tells_then_mends_then_is_content(house: House):
    """Exit status 1 while something is wrong; what --repair would do is said before it does it."""
    house.here.completed(in_lake=True)
    house.objects.delete(audio_key(MEDIA.media_id, "webm"))
    told = ytcaption("doctor")
    assert told.exit_code == 1
    assert MEDIA.media_id in told.stdout and "would be done" in told.stdout
    assert get_media(house.here.store.postgres, MEDIA.media_id).audio is not None
    assert ytcaption("doctor", "--repair").exit_code == 0
    assert get_media(house.here.store.postgres, MEDIA.media_id).audio is None
    assert "All is well." in ytcaption("doctor", "--repair").stdout


def test_doctor_tells_programs_what_it_could_not_mend(house: House):
    """As JSON, with the reason; the exit status is 1 after a repair, too."""
    id = house.here.completed()
    house.objects.delete(f"transcripts/{id}.json")
    house.execute("delete from ytcaption.segment")
    answer = ytcaption("doctor", "--repair", "--json")
    assert answer.exit_code == 1
    [found] = [each for each in json.loads(answer.stdout) if each["code"] == "document_missing"]
    assert found["found"] == [id] and "force" in found["left"][id]


def test_retention_is_a_dry_run_unless_told(house: House):
    """What is kept is spared."""
    id = house.here.completed()
    house.age(id, 100)
    assert "media whose audio is older" in ytcaption("admin", "retention").stdout
    assert get_media(house.here.store.postgres, MEDIA.media_id).audio is not None
    assert "1 are kept." in ytcaption("admin", "keep", id).stdout
    assert "Nothing is too old." in ytcaption("admin", "retention", "--apply").stdout
    assert ytcaption("admin", "keep", id, "--off").exit_code == 0
    assert ytcaption("admin", "retention", "--apply").exit_code == 0
    assert get_media(house.here.store.postgres, MEDIA.media_id).audio is None


def test_keep_of_nothing_is_refused(house: House):
    """By a sentence."""
    with pytest.raises(TranscriptionNotFound, match="no transcription nothing"):
        ytcaption("admin", "keep", "nothing.x")


def test_the_nightly_job_and_the_sensor_do_it_in_dagster(house: House):
    """Counts are in the run's metadata; the sensor's skip reason says what it mended."""
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
