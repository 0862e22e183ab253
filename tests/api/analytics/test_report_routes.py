"""Reports over HTTP."""

from fastapi.testclient import TestClient

from resources.object_store.store import ObjectStore
from resources.reports.report import report_days
from tests.api.conftest import Start, World
from tests.api.keys import Keys

PATH = "/api/v1/admin/reports"


def test_reports_are_listed_and_read(client: TestClient, object_store: ObjectStore):
    """By day, or the latest; the page may load and run nothing."""
    for day in ("2026-11-25", "2026-11-26"):
        object_store.write_bytes(f"reports/{day}.html", f"<p>{day}".encode())
    listed = client.get(PATH).json()["reports"]
    assert [each["day"] for each in listed] == ["2026-11-26", "2026-11-25"]
    answer = client.get(listed[1]["url"])
    assert (answer.text, answer.headers["content-type"]) == (
        "<p>2026-11-25",
        "text/html; charset=utf-8",
    )
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert client.get(f"{PATH}/latest").text == "<p>2026-11-26"


def test_a_day_without_a_report_is_404(client: TestClient):
    """An invalid day is 422."""
    missing = client.get(f"{PATH}/2026-11-26")
    assert (missing.status_code, missing.json()["code"]) == (404, "report_not_found")
    assert client.get(f"{PATH}/latest").status_code == 404
    assert client.get(f"{PATH}/yesterday").status_code == 422


def test_reports_are_for_operators(keys: Keys, start: Start):
    """They cover everybody's transcriptions."""
    client = start()
    for path in (PATH, f"{PATH}/latest"):
        assert client.get(path, headers=keys.header("anna")).status_code == 403


def test_erasing_removes_the_reports(client: TestClient, world: World, object_store: ObjectStore):
    """They may quote what was said."""
    object_store.write_bytes("reports/2026-11-26.html", b"page")
    id = world.completed()
    erased = client.delete(f"/api/v1/transcriptions/{id}")
    assert erased.status_code in (204, 503)  # Dagster is away: all that comes before is done
    assert report_days(object_store) == []
