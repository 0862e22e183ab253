"""Pack databases as older commits made them, for tests/system/test_upgrades.py.

    python -m tests.data.upgrades.make_archives landed.tar.xz
    python -m tests.data.upgrades.make_archives --backup backup-caf9016.tar.xz caf9016

Each commit of main at which a numbered migration changed has a folder in the archive, with
`database.sql` (the schema with its rows) and `objects/` (documents and audio that the rows name).
With `--backup` it has a backup. `old_work.py` is run by each commit's own code, in this virtual
environment.
"""

import argparse
import io
import lzma
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from resources.postgres.urls import with_database
from tests.support.history import extract, landed_migrations
from tests.support.servers.postgres_servers import embedded_server

HERE = Path(__file__).parent


def made_by(commit: str, root: Path, server_url: str, *arguments: str) -> Path:
    """Return the folder that the commit's code made below `root`."""
    checkout, folder = root / "checkout", root / commit
    shutil.rmtree(checkout, ignore_errors=True)
    extract(commit, checkout)
    folder.mkdir()
    # Not from the checkout's virtual environment: the packages of old commits are not installed.
    subprocess.run(
        [
            *(sys.executable, HERE / "old_work.py", root / f"home-{commit}"),
            *(with_database(server_url, f"{commit}{part}") for part in ("", "_dagster")),
            *(folder, *arguments),
        ],
        check=True,
        cwd=checkout,
        env=os.environ | {"PYTHONPATH": str(checkout)},
    )
    return folder


def pack(folders: list[Path], target: Path) -> None:
    """Write the folders into one compressed file: most of each is like the one before."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for folder in folders:
            for path in sorted(path for path in folder.rglob("*") if path.is_file()):
                content = path.read_bytes()
                entry = tarfile.TarInfo(path.relative_to(folder.parent).as_posix())
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
    target.write_bytes(lzma.compress(packed.getvalue(), preset=9 | lzma.PRESET_EXTREME))


def main() -> None:
    """Make the archive of all commits, or of those that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target")
    parser.add_argument("commits", nargs="*")
    parser.add_argument("--backup", action="store_true")
    options = parser.parse_args()
    root = Path(tempfile.mkdtemp(prefix="ytcold", dir="/tmp"))  # short, as socket paths must be
    folders = []
    with embedded_server(root / "home") as server:
        for commit in options.commits or landed_migrations():
            print(commit, flush=True)  # noqa: T201
            folders.append(made_by(commit, root, server.url, *["backup"] * options.backup))
    pack(folders, HERE / options.target)
    shutil.rmtree(root)


if __name__ == "__main__":
    main()
