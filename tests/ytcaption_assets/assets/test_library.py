"""The nightly assets: the lake's maintenance with its checks, and the report."""

import base64
import re

import dagster as dg
import pytest

from resources.lake.catalog import TranscriptCatalog
from resources.object_store.store import ObjectStore
from resources.reports.report import delete_reports, old_reports, read_report, report_days
from resources.transcriptions.store import RequestStore
from tests.support.lake_truth import complete
from ytcaption.domain.errors import ReportNotFound
from ytcaption.settings.settings import Settings
from ytcaption_assets.assets.lake_maintenance import lake_maintenance
from ytcaption_assets.assets.library_report import library_report
from ytcaption_assets.definitions import build_definitions


@pytest.fixture
def catalog(
    settings: Settings, request_store: RequestStore, object_store: ObjectStore
) -> TranscriptCatalog:
    """A lake with three transcriptions of two media, and one failure."""
    catalog = TranscriptCatalog.from_settings(settings)
    for name, model, text in (
        ("first", "base", "country"),
        ("second", "base", "country"),
        ("second", "tiny", "<script>"),
    ):
        complete(request_store, object_store, catalog, name, model=model, text=text)
    return catalog


def materialize(
    request_store: RequestStore,
    object_store: ObjectStore,
    catalog: TranscriptCatalog,
    *assets: dg.AssetsDefinition,
    raises: bool = True,
) -> dg.ExecuteInProcessResult:
    """Materialize assets as the job `library` does."""
    return dg.materialize(
        list(assets),
        resources={
            "postgres": request_store.postgres,
            "object_store": object_store,
            "transcript_catalog": catalog,
        },
        raise_on_error=raises,
    )


def metadata_of(result: dg.ExecuteInProcessResult, asset: str) -> dict:
    """Values by name."""
    [event] = result.asset_materializations_for_node(asset)
    return {name: value.value for name, value in event.metadata.items()}


def checks_of(result: dg.ExecuteInProcessResult) -> dict[str, bool]:
    """Whether each check has passed."""
    return {each.check_name: each.passed for each in result.get_asset_check_evaluations()}


@pytest.mark.slow
def test_maintenance_merges_and_compares(
    catalog: TranscriptCatalog, request_store: RequestStore, object_store: ObjectStore
):
    """Few files, earlier snapshots expired, both checks passed; again, there is nothing to do."""
    result = materialize(request_store, object_store, catalog, lake_maintenance)
    metadata = metadata_of(result, "lake_maintenance")
    assert (metadata["files_before"], metadata["files_after"]) == (11, 4)
    assert metadata["bytes_after"] < metadata["bytes_before"]
    assert metadata["snapshots_expired"] > 0
    assert (metadata["transcriptions"], metadata["dagster/row_count"]) == (3, 90)
    assert checks_of(result) == {"lake_counts_agree": True, "lake_text_agrees": True}
    again = materialize(request_store, object_store, catalog, lake_maintenance)
    assert metadata_of(again, "lake_maintenance")["files_after"] == 4


@pytest.mark.slow
def test_checks_list_differences(
    catalog: TranscriptCatalog, request_store: RequestStore, object_store: ObjectStore
):
    """The metadata says what to do about them."""
    id = complete(request_store, object_store, None, "third")
    result = materialize(request_store, object_store, catalog, lake_maintenance)
    assert checks_of(result) == {"lake_counts_agree": False, "lake_text_agrees": True}
    [check] = [each for each in result.get_asset_check_evaluations() if not each.passed]
    assert check.metadata["missing"].value == 1
    said = str(check.metadata["differences"].value)
    assert id in said
    assert "lake verify --repair" in said


@pytest.mark.long
def test_maintenance_does_nothing_during_a_backup(
    catalog: TranscriptCatalog, request_store: RequestStore, object_store: ObjectStore
):
    """A message says so, and nothing is changed."""
    from resources.postgres.advisory_locks import block_removals

    with block_removals(request_store.postgres):
        result = materialize(request_store, object_store, catalog, lake_maintenance, raises=False)
    assert not result.success
    [event] = [each for each in result.all_events if each.is_step_failure]
    failure = event.step_failure_data.user_failure_data
    assert failure is not None
    assert "A backup is being made" in (failure.description or "")


@pytest.mark.slow
def test_the_report_is_stored_with_its_plots(
    catalog: TranscriptCatalog, request_store: RequestStore, object_store: ObjectStore
):
    """The page needs no other file and is escaped; the asset has plots, but none with text of
    transcripts."""
    result = materialize(request_store, object_store, catalog, library_report)
    metadata = metadata_of(result, "library_report")
    assert metadata["transcriptions"] == 3
    for name in ("growth", "languages", "delays"):
        picture = re.search(r"base64,([^)]+)\)", metadata[name])
        assert picture is not None
        assert base64.b64decode(picture[1]).startswith(b"\x89PNG")
    assert "terms" not in metadata

    [day] = report_days(object_store)
    page = read_report(object_store, None).decode()
    assert page == read_report(object_store, day).decode()
    assert page.count('<img alt="') == 4
    pictures = re.findall(r"data:image/svg\+xml;base64,([^\"]+)", page)
    drawn = b"".join(base64.b64decode(each) for each in pictures)
    assert b"country1" in drawn
    assert b"<script" not in drawn
    assert "<script" not in page
    assert "http" not in re.sub(r"base64,[^\"]+", "", page)


@pytest.mark.slow
def test_both_are_made_each_night(catalog: TranscriptCatalog, settings: Settings):
    """By one job of the code location, on a schedule that is on."""
    definitions = build_definitions(settings)
    schedule = definitions.resolve_schedule_def("library_schedule")
    assert schedule.job_name == "library"
    assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING
    job = definitions.resolve_job_def("library")
    result = job.execute_in_process(instance=dg.DagsterInstance.ephemeral())
    made = {event.asset_key.to_user_string() for event in result.get_asset_materialization_events()}
    assert made == {"lake_maintenance", "library_report"}
    assert checks_of(result) == {"lake_counts_agree": True, "lake_text_agrees": True}


@pytest.mark.slow
def test_report_of_an_empty_library(
    settings: Settings, request_store: RequestStore, object_store: ObjectStore
):
    """The report says that the library is empty."""
    catalog = TranscriptCatalog.from_settings(settings)
    materialize(request_store, object_store, catalog, library_report)
    assert "Nothing has been transcribed yet" in read_report(object_store, None).decode()


def test_reports_are_removed_by_age_and_by_erasure(object_store: ObjectStore):
    """Other files stay."""
    for name in ("2020-02-29", "2999-01-01", "2020-02-30", "latest"):
        object_store.write_bytes(f"reports/{name}.html", b"page")
    assert [str(day) for day in report_days(object_store)] == ["2999-01-01", "2020-02-29"]
    assert old_reports(object_store, 90) == ["reports/2020-02-29.html"]
    delete_reports(object_store)
    with pytest.raises(ReportNotFound, match="ytcaption report"):
        read_report(object_store, None)
