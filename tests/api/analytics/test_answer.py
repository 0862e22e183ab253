"""Tests of encoded results: they have limits of their own."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.analytics import answer
from resources.lake.catalog import TranscriptCatalog

QUERY = "/api/v1/analytics/query"


@pytest.mark.long
def test_a_response_is_limited_as_it_is_sent(client: TestClient, monkeypatch: pytest.MonkeyPatch):
    """JSON repeats a column's name in each row; formats that do not are smaller."""
    monkeypatch.setattr(answer, "MAX_BODY_BYTES", 1024**2)
    body = {"sql": f'select 1 as "{"n" * 10_000}" from range(1000)'}
    refused = client.post(QUERY, json=body)
    assert (refused.status_code, refused.json()["code"]) == (422, "query_error")
    assert "As json, the result is larger than 1 MiB" in refused.json()["detail"]
    assert client.post(QUERY, json=body, params={"format": "csv"}).status_code == 200


@pytest.mark.long
def test_a_result_is_not_encoded_for_a_client_that_is_gone(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
):
    """The query's `stop` also ends the encoding."""
    query = TranscriptCatalog.query

    def query_until_disconnect(self: TranscriptCatalog, *args: Any, **values: Any):
        result = query(self, *args, **values)
        values["stop"].set()
        return result

    monkeypatch.setattr(TranscriptCatalog, "query", query_until_disconnect)
    stopped = client.post(QUERY, json={"sql": "select 1"})
    assert stopped.status_code == 422
    assert "disconnected" in stopped.json()["detail"]
