"""What `pip install` puts where."""

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


def test_a_wheel_takes_no_common_top_level_name(wheel_names):
    """`api`, `resources` and `sensors` of other projects are not overwritten."""
    tops = {name.split("/")[0] for name in wheel_names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {
        "ytcaption",
        "ytcaption_assets",
        "ytcaption.pth",
    }


def test_a_wheel_carries_what_is_read_at_run_time(wheel_names):
    """Migrations, Dagster's configuration, the pages and the sample are inside."""
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
    """No installed stranger shadows ours."""
    module = importlib.import_module(package)
    assert module.__file__ is not None
    assert Path(module.__file__).parent == ROOT / package
