"""The folder of a media item's partial download, and who may remove it."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from resources.download.workspace import Workspace
from ytcaption.domain.errors import ClaimLost

MEDIA = "url-x"

HOLDS = """
import sys
from resources.download.workspace import Workspace
with Workspace(root=sys.argv[1]).download_directory(sys.argv[2]) as folder:
    (folder / "media.part").write_bytes(b"half")
    print("holds it", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """Nothing is in it."""
    return Workspace(root=str(tmp_path / "downloads"))


@pytest.fixture
def holder(workspace: Workspace) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that downloads the media."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDS, workspace.root, MEDIA],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == b"holds it\n"
        yield process
        process.kill()


def entries(workspace: Workspace) -> list[str]:
    return sorted(path.name for path in Path(workspace.root).iterdir())


def part(workspace: Workspace) -> Path:
    return Path(workspace.root) / MEDIA / "media.part"


def removed_by_another(workspace: Workspace) -> bool:
    """Whether another process could remove it."""
    code = "import sys; from resources.download.workspace import Workspace; "
    code += "sys.exit(Workspace(root=sys.argv[1]).remove(sys.argv[2]))"
    command = [sys.executable, "-c", code, workspace.root, MEDIA]
    return subprocess.run(command, check=False).returncode == int(True)


def test_what_nobody_holds_goes_lock_and_all(workspace: Workspace):
    """That of another media item stays. Again, it is gone already."""
    for media in (MEDIA, "url-y"):
        with workspace.download_directory(media) as folder:
            (folder / "media.part").write_bytes(b"half")
    for _ in range(2):
        assert workspace.remove(MEDIA)
        assert entries(workspace) == ["url-y", "url-y.lock"]


@pytest.mark.long
def test_what_another_process_holds_stays_until_it_ends(
    workspace: Workspace, holder: subprocess.Popen[bytes]
):
    """It is removed after the process has ended in any way."""
    assert not workspace.remove(MEDIA, is_ending=True)
    assert part(workspace).read_bytes() == b"half"
    holder.kill()
    holder.wait()
    assert workspace.remove(MEDIA)
    assert entries(workspace) == []


def test_what_this_process_holds_goes_and_stays_its_own(workspace: Workspace):
    """Only a run that ends itself may remove it; nobody else gets it meanwhile."""
    with workspace.download_directory(MEDIA) as folder:
        (folder / "media.part").write_bytes(b"half")
        assert not workspace.remove(MEDIA)
        assert part(workspace).exists()
        assert workspace.remove(MEDIA, is_ending=True)
        assert entries(workspace) == [f"{MEDIA}.lock"]
        with (
            pytest.raises(ClaimLost),
            workspace.download_directory(MEDIA, should_stop=lambda: True),
        ):
            pass
    with workspace.download_directory(MEDIA) as folder:
        assert list(folder.iterdir()) == []


@pytest.mark.slow
def test_who_waited_for_a_folder_that_was_removed_has_a_new_one(
    workspace: Workspace, holder: subprocess.Popen[bytes]
):
    """Not the lock of a file that is gone: two would download into one folder."""
    removals: list[bool] = []

    def end_holder() -> bool:
        if not removals:
            holder.kill()
            holder.wait()
            removals.append(workspace.remove(MEDIA))
        return False

    with workspace.download_directory(MEDIA, end_holder) as folder:
        assert removals == [True]
        assert list(folder.iterdir()) == []
        assert not removed_by_another(workspace)
