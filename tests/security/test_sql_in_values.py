"""Values that would be SQL if anybody put them into a statement: they are values."""

import pytest
from fastapi.testclient import TestClient

from tests.api.conftest import World

PATH = "/api/v1/transcriptions"
VALUES = [
    "' or '1'='1", "'; drop schema ytcaption cascade; --", "\\'; select pg_sleep(9); --",
    "x') union select secret from ytcaption.webhook_secret --", "$$; rollback; $$", "%", "%%", "_",
    "%s", "%(owner)s", "{0}", "' || current_setting('is_superuser') || '", "a\\", "''", '"', "--",
    "/*", "é' or 1=1 --", "\u02bc or 1=1", ":1", "1; commit", "E'\\x27'", "\uff07 or 1=1",
]  # fmt: skip
FILTERS = ["q", "channel", "metadata"]


@pytest.mark.slow
@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("value", VALUES)
def test_a_filter_finds_only_what_is_called_so(
    client: TestClient, world: World, name: str, value: str
) -> None:
    """Whatever is written into it: nothing is found, nothing is lost."""
    id = world.completed(title="Ask not")
    parameter = f"ticket:{value}" if name == "metadata" else value

    found = client.get(PATH, params={name: parameter})

    assert found.status_code == 200, found.text
    assert found.json()["items"] == []
    assert [item["id"] for item in client.get(PATH).json()["items"]] == [id]


@pytest.mark.slow
@pytest.mark.parametrize("value", VALUES)
def test_what_is_stored_comes_back_as_it_was(client: TestClient, value: str) -> None:
    """Metadata, texts for the model, and names of webhooks."""
    link = "https://www.youtube.com/watch?v=dQw4w9WgXcQ"
    body = {"url": link, "metadata": {"ticket": value}, "hotwords": f"x {value}"}
    id = client.post(PATH, json=body).json()["id"]
    made = client.post(
        "/api/v1/webhooks", json={"url": "https://example.org/", "description": value}
    )

    body_of_id = client.get(f"{PATH}/{id}").json()
    assert body_of_id["metadata"] == {"ticket": value}
    assert body_of_id["options"]["hotwords"] == f"x {value}"
    assert made.json()["description"] == value
    found = client.get(PATH, params={"metadata": f"ticket:{value}"}).json()["items"]
    assert [item["id"] for item in found] == [id]
