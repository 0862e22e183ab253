"""Homes that an older commit made: `tests/data/homes/make_home.py`."""

import gzip
import json
import os
import re
import subprocess
import sys
import tarfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from resources.postgres.embedded import running_postgres
from resources.postgres.programs import programs_folder
from resources.postgres.urls import PORT, SUPERUSER, socket_folder
from tests.support.paths import DATA
from ytcaption.settings.settings import Settings

HOMES = DATA / "homes"

_ISO = re.compile(r"\b\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d\b")


@dataclass(frozen=True)
class OldWork:
    """What an old home holds.

    Attributes:
        made_at: Unix time.
        finished, canceled: ids of transcriptions.
        unfinished: the first was being transcribed, the second downloaded, the others queued.
        channel: id of a paused channel.
        transcript: the finished one's, as text.
    """

    made_at: int
    finished: str
    canceled: str
    unfinished: list[str]
    channel: str
    webhook: str
    webhook_secret: str
    transcript: str


def restore_home(commit: str, home: Path) -> OldWork:
    """Make a home like the one that the commit's code left a minute ago."""
    folder = HOMES / commit
    work = OldWork(**json.loads((folder / "work.json").read_text()))
    moved = round(time.time()) - 60 - work.made_at

    def adapt(text: str) -> str:
        return text.replace("@HOME@", str(home)).replace("@PYTHON@", sys.executable)

    def recent(row: str) -> str:
        # The lake's files have the times of the finished transcription, too.
        return row if work.finished in row else shift_times(row, work.made_at, moved)

    home.mkdir(mode=0o700)
    with tarfile.open(folder / "home.tar.gz") as archive:
        archive.extractall(home, filter="tar")
    for path in home.rglob("*"):
        os.utime(path)
    for path in (home / "dagster").glob("*.yaml"):
        path.write_text(adapt(path.read_text()))
    settings = Settings(home=home, _env_file=None)  # pyright: ignore[reportCallIssue]
    with running_postgres(settings):
        command = [
            *(str(programs_folder() / "psql"), "--no-psqlrc", "--quiet", "-o", "/dev/null"),
            *("-h", str(socket_folder(settings)), "-p", PORT, "-U", SUPERUSER),
            "--set=ON_ERROR_STOP=1",
        ]
        sql = gzip.decompress((folder / "databases.sql.gz").read_bytes()).decode()
        sql = "".join(recent(row) for row in adapt(sql).splitlines(keepends=True))
        subprocess.run(command, input=sql, check=True, text=True)
    return work


def shift_times(text: str, made_at: int, seconds: int) -> str:
    """Move all times of the day of a dump, so that they are neither long ago nor in the future."""
    shift = timedelta(seconds=seconds)
    day = f"{datetime.fromtimestamp(made_at, UTC):%Y-%m-%d}"

    def iso(match: re.Match[str]) -> str:
        if not match[0].startswith(day):
            return match[0]
        return (datetime.fromisoformat(match[0]) + shift).isoformat(match[0][10])

    prefix = str(made_at)[:5]

    def unix(match: re.Match[str]) -> str:
        return str(int(match[0]) + seconds)

    return re.sub(rf"\b{prefix}\d{{5}}\b", unix, _ISO.sub(iso, text))
