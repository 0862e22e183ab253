"""Fixtures of the lake's tests."""

import pytest

from resources.lake.catalog import TranscriptCatalog
from resources.object_store.store import ObjectStore
from ytcaption.settings.settings import Settings


@pytest.fixture
def local_catalog(settings: Settings) -> TranscriptCatalog:
    """An empty lake in a folder."""
    return TranscriptCatalog.from_settings(settings)


@pytest.fixture
def s3_catalog(
    settings: Settings, s3_object_store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> TranscriptCatalog:
    """An empty lake in a bucket; the environment says so too, for other processes."""
    assert s3_object_store.endpoint_url is not None
    monkeypatch.setenv("YTCAPTION_OBJECT_STORE_URL", s3_object_store.url)
    monkeypatch.setenv("YTCAPTION_S3_ENDPOINT_URL", s3_object_store.endpoint_url)
    return TranscriptCatalog.from_settings(Settings(_env_file=None))  # pyright: ignore[reportCallIssue]


@pytest.fixture(params=["folder", pytest.param("s3", marks=pytest.mark.slow)])
def catalog(request: pytest.FixtureRequest) -> TranscriptCatalog:
    """An empty lake, in a folder and in a bucket; tests with `s3_catalog` are the quick ones."""
    name = {"folder": "local_catalog", "s3": "s3_catalog"}[request.param]
    return request.getfixturevalue(name)
