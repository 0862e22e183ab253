"""Uploads that are received at the same time: the space that they may take together."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from resources.download import uploads as uploads_module
from resources.download.uploads import Uploads
from resources.object_store.store import ObjectStore
from resources.postgres.connection import Postgres
from ytcaption.domain.errors import DiskFull
from ytcaption.settings.settings import Settings

pytestmark = pytest.mark.unit

MIB = 1024**2


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Return the free space of the disk, which a test may change."""
    disk = SimpleNamespace(free=200 * MIB)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: disk)
    return disk


@pytest.fixture
def uploads(tmp_path: Path) -> Uploads:
    """Return uploads that only receive."""
    settings = Settings(home=tmp_path)
    store, postgres = ObjectStore.from_settings(settings), Postgres.from_settings(settings)
    return Uploads.from_settings(settings, store, postgres)


def test_what_is_to_come_counts_against_the_free_space(
    uploads: Uploads, free: SimpleNamespace
) -> None:
    """Of all files in progress together; what has arrived is no longer free anyway."""
    with uploads.incoming(100 * MIB) as first:
        with pytest.raises(DiskFull), uploads.incoming(100 * MIB):
            pass
        with uploads.incoming(30 * MIB):
            pass
        first.write(bytes(50 * MIB))
        free.free = 150 * MIB
        with uploads.incoming(36 * MIB):
            pass
        with pytest.raises(DiskFull), uploads.incoming(37 * MIB):
            pass
    free.free = 200 * MIB
    with uploads.incoming(136 * MIB):
        pass


def test_a_reserve_stays_free(uploads: Uploads, free: SimpleNamespace) -> None:
    """Also when the size of a file is not announced."""
    with uploads.incoming() as incoming:
        incoming.write(b"x")
        free.free = uploads_module._RESERVE_BYTES - 1
        with pytest.raises(DiskFull):
            incoming.write(b"x")
