"""How many uploads a caller may send at the same time."""

import pytest
from httpx import post

from tests.api.conftest import serving
from tests.api.uploads.bodies import JFK, UPLOADS
from tests.api.uploads.test_routes import broken_off
from tests.support.patience import wait_for
from ytcaption.settings.settings import Settings


@pytest.mark.long
def test_uploads_per_caller_are_limited(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """429 with Retry-After beyond the number, until one has ended."""
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    with serving(settings.changed(streams_per_caller=1)) as url:
        connection = broken_off(url, "Content-Length: 5000000", b"x")
        wait_for(lambda: list((settings.home / "uploads").glob("*.part")))

        refused = post(url + UPLOADS, content=JFK)
        connection.close()

        assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
        assert refused.headers["Retry-After"] == "5"
        wait_for(lambda: post(url + UPLOADS, content=JFK).status_code == 202)
