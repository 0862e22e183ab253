"""How the API starts, and how it refuses to start."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from api.app import create_app
from tests.support.patience import patience
from ytcaption.domain.errors import SetupError
from ytcaption.settings.settings import Settings

UVICORN = (sys.executable, "-m", "uvicorn", "api.app:create_app", "--factory", "--port", "0")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("setting", "value", "says"),
    [
        ("YTCAPTION_SITES", "youtube,yuotube", "sites that yt-dlp does not know: yuotube."),
        pytest.param(
            *("YTCAPTION_API_HOST", "192.0.2.7", "does not bind to 192.0.2.7"),
            marks=pytest.mark.slow,
        ),
        pytest.param(
            *("YTCAPTION_API_PORT", "many", "YTCAPTION_API_PORT: Input should be a valid integer"),
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_server_that_may_not_start_says_so_in_one_line(
    tmp_path: Path, setting: str, value: str, says: str
) -> None:
    """There is no traceback, and nothing is created. Before it the settings in force are named."""
    home = tmp_path / "home"
    done = subprocess.run(
        UVICORN,
        env=os.environ | {"YTCAPTION_HOME": str(home), setting: value},
        capture_output=True,
        text=True,
        timeout=60 * patience(),
    )

    assert done.returncode == 1
    assert says in done.stderr
    lines = (done.stdout + done.stderr).splitlines()
    assert len([line for line in lines if not line.startswith('{"event": "settings: ')]) == 1
    assert not home.exists()


def test_an_unknown_site_is_refused_before_the_app_starts(settings: Settings) -> None:
    """No request ever meets it."""
    with pytest.raises(SetupError, match="yuotube"):
        create_app(settings.changed(sites=("yuotube",)))
