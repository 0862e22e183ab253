"""The object store, and this machine's own files, against Postgres."""

import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from resources.maintenance.check import GRACE_S, Check, Parts, one_by_one
from resources.object_store.s3 import COPY_PREFIX
from resources.object_store.store import name_in, upload_key
from resources.postgres.advisory_locks import alone, removing, storing
from resources.transcriptions.accuracy import delete_reference
from resources.transcriptions.reads import get_media
from resources.transcriptions.state import NO_AUDIO

IN_USE_S = 0.2
"""How long is waited for somebody at work on what is to be removed."""

ABANDONED_S = 86_400.0
"""Partial downloads, and copies of objects, that nobody has touched for so long."""


def known_keys(parts: Parts, keys: Sequence[str]) -> set[str]:
    """Those that a row stands for: a media's audio, an upload, a document."""
    uploads = {name_in(key): key for key in keys if key == upload_key(name_in(key))}
    rows = parts.postgres.rows(
        """
        select audio_key as key from ytcaption.media where audio_key = any(%(keys)s)
        union all select document_key from ytcaption.transcription
            where document_key = any(%(keys)s)
        """,
        {"keys": list(keys)},
    )
    # An upload is stored before anybody has looked at it.
    sent = parts.postgres.rows(
        "select id from ytcaption.media where kind = 'upload' and id = any(%(ids)s)",
        {"ids": list(uploads)},
    )
    return {row["key"] for row in rows} | {uploads[row["id"]] for row in sent}


def _files_without_row(parts: Parts) -> list[str]:
    oldest = time.time() - GRACE_S
    keys = [
        stored.key
        for prefix in ("audio", "transcripts")
        for stored in parts.objects.stored(prefix)
        if stored.modified_at < oldest
    ]
    known = known_keys(parts, keys)
    return [key for key in keys if key not in known]


def _remove_file(parts: Parts, key: str) -> bool:
    with removing(parts.postgres), _nobody_at_work(parts, key):
        if known_keys(parts, [key]):
            return False
        parts.objects.delete(key)
    return True


@contextmanager
def _nobody_at_work(parts: Parts, key: str) -> Iterator[None]:
    """With no run that may be about to write the row of this file."""
    with (
        alone(parts.postgres, name_in(key), IN_USE_S),
        storing(parts.postgres, name_in(key)),
    ):
        yield


def _audio_without_file(parts: Parts) -> list[str]:
    # The rows first: a file that is stored meanwhile is listed.
    rows = parts.postgres.rows(
        "select id, audio_key, audio_size_bytes from ytcaption.media where audio_key is not null",
        {},
    )
    sizes = {stored.key: stored.size_bytes for stored in parts.objects.stored("audio")}
    return sorted(
        row["id"] for row in rows if sizes.get(row["audio_key"]) != row["audio_size_bytes"]
    )


def _forget_audio(parts: Parts, media_id: str) -> bool:
    with removing(parts.postgres), alone(parts.postgres, media_id, IN_USE_S):
        audio = get_media(parts.postgres, media_id).audio
        if audio is None:
            return False
        if parts.objects.exists(audio.key):
            if parts.objects.size(audio.key) == audio.size_bytes:
                return False
            parts.objects.delete(audio.key)
        forget_audio(parts, media_id)
    return True


def forget_audio(parts: Parts, media_id: str) -> None:
    """The row no longer says that there is any, and captions that were fetched beside it go."""
    with parts.postgres.transaction() as connection:
        connection.execute(
            f"update ytcaption.media set {NO_AUDIO}, updated_at = now() where id = %s",  # noqa: S608
            (media_id,),
        )
        delete_reference(connection, media_id)


def _left_writes(parts: Parts) -> list[str]:
    oldest = time.time() - GRACE_S
    return [left.key for left in parts.objects.unfinished() if left.modified_at < oldest]


def _discard_write(parts: Parts, name: str) -> bool:
    return parts.objects.discard(name)


def _left_downloads(parts: Parts) -> list[str]:
    """Of media that nothing is to be done for. What failed may go on for a day."""
    root, oldest = Path(parts.workspace.root), time.time() - ABANDONED_S
    medias = {path.name.removesuffix(".lock") for path in _in(root) if _changed_at(path) < oldest}
    return sorted(medias - _wanted(parts, medias))


def _remove_download(parts: Parts, media_id: str) -> bool:
    return not _wanted(parts, {media_id}) and parts.workspace.remove(media_id)


def _wanted(parts: Parts, medias: set[str]) -> set[str]:
    rows = parts.postgres.rows(
        "select distinct media_id from ytcaption.transcription "
        "where media_id = any(%(medias)s) and status in ('queued', 'running')",
        {"medias": list(medias)},
    )
    return {row["media_id"] for row in rows}


def _left_files(parts: Parts) -> list[str]:
    """Uploads that were being received, samples on their way to a worker, copies from S3."""
    home, oldest = parts.settings.home, time.time() - ABANDONED_S
    found = [path for path in _in(home / "uploads") if path.suffix == ".part"]
    found += home.glob(".samples-*")
    found += filter(_is_ours, Path(tempfile.gettempdir()).glob(f"{COPY_PREFIX}*"))
    return [str(path) for path in found if _changed_at(path) < oldest]


def _remove_left_file(_parts: Parts, name: str) -> bool:
    path = Path(name)
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
    return True


def _in(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _changed_at(path: Path) -> float:
    """Seconds since 1970; what is gone meanwhile is as new as can be."""
    with suppress(FileNotFoundError):
        return max(each.stat().st_mtime for each in (path, *_in(path)))
    return time.time()


def _is_ours(path: Path) -> bool:
    with suppress(FileNotFoundError):
        return path.stat().st_uid == os.geteuid()
    return False


FILE_CHECKS = (
    Check(
        "file_without_row",
        "stored files that no row stands for",
        "removed",
        _files_without_row,
        one_by_one(_remove_file),
    ),
    Check(
        "audio_without_file",
        "media whose audio is gone, or is not whole",
        "forgotten; downloaded again when needed, and an upload must be sent again",
        _audio_without_file,
        one_by_one(_forget_audio),
    ),
    Check(
        "write_unfinished",
        "files that a killed process was writing into the object store",
        "removed",
        _left_writes,
        one_by_one(_discard_write),
    ),
    Check(
        "download_left",
        "partial downloads that nobody goes on with",
        "removed",
        _left_downloads,
        one_by_one(_remove_download),
    ),
    Check(
        "temporary_left",
        "temporary files of killed processes",
        "removed",
        _left_files,
        one_by_one(_remove_left_file),
    ),
)
