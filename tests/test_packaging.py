"""The content of the wheel, and where packages are imported from."""

import importlib
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.support.paths import ROOT


@pytest.fixture(scope="module")
def wheel_names(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    target = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"),
            *("--disable-pip-version-check", "--wheel-dir", str(target), str(ROOT)),
        ],
        check=True,
    )
    (wheel,) = target.glob("*.whl")
    return zipfile.ZipFile(wheel).namelist()


@pytest.mark.long
def test_the_wheel_has_no_common_top_level_names(wheel_names):
    """It does not overwrite `api`, `resources` and `sensors` of other projects."""
    folders = {name.split("/")[0] for name in wheel_names}
    assert {name for name in folders if not name.endswith(".dist-info")} == {
        "ytcaption",
        "ytcaption_assets",
        "ytcaption.pth",
    }


def test_the_wheel_contains_files_read_at_run_time(wheel_names):
    """It has the migrations, Dagster's configuration, the pages and the sample."""
    for name in (
        "ytcaption_assets/dagster.yaml",
        "ytcaption_assets/sample/jfk.flac",
        "ytcaption_assets/_packages/api/static/index.html",
    ):
        assert name in wheel_names
    assert any(
        name.startswith("ytcaption_assets/_packages/resources/postgres/migrations/0001_")
        for name in wheel_names
    )


@pytest.mark.parametrize(
    "package", ["ytcaption", "ytcaption_assets", "api", "resources", "sensors"]
)
def test_each_package_comes_from_this_project(package):
    """No installed package of the same name shadows it."""
    module = importlib.import_module(package)
    assert module.__file__ is not None
    assert Path(module.__file__).parent == ROOT / package
