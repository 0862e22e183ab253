"""Checks of the object store and of local files, compared with Postgres."""

import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from resources.maintenance.check import GRACE_S, Check, Installation, one_by_one
from resources.object_store.s3 import COPY_PREFIX
from resources.object_store.store import name_in, upload_key
from resources.postgres.advisory_locks import exclusive_work_lock, removal_lock, upload_lock
from resources.transcriptions.accuracy import delete_reference
from resources.transcriptions.reads import get_media
from resources.transcriptions.state import NO_AUDIO

IN_USE_S = 0.2
"""Seconds to wait for the lock of what is to be removed; a run may hold it."""

ABANDONED_S = 86_400.0
"""Age of partial downloads and copies of objects from which they count as abandoned."""


def known_keys(installation: Installation, keys: Sequence[str]) -> set[str]:
    """Return the keys that belong to a row: audio of a media item, an upload, a document."""
    uploads = {name_in(key): key for key in keys if key == upload_key(name_in(key))}
    rows = installation.postgres.rows(
        """
        select audio_key as key from ytcaption.media where audio_key = any(%(keys)s)
        union all select document_key from ytcaption.transcription
            where document_key = any(%(keys)s)
        """,
        {"keys": list(keys)},
    )
    # An upload is stored before its row names the key.
    received = installation.postgres.rows(
        "select id from ytcaption.media where kind = 'upload' and id = any(%(ids)s)",
        {"ids": list(uploads)},
    )
    return {row["key"] for row in rows} | {uploads[row["id"]] for row in received}


def _files_without_row(installation: Installation) -> list[str]:
    oldest = time.time() - GRACE_S
    keys = [
        stored.key
        for prefix in ("audio", "transcripts")
        for stored in installation.objects.stored(prefix)
        if stored.modified_at < oldest
    ]
    known = known_keys(installation, keys)
    return [key for key in keys if key not in known]


def _remove_file(installation: Installation, key: str) -> bool:
    with removal_lock(installation.postgres), _nobody_at_work(installation, key):
        if known_keys(installation, [key]):
            return False
        installation.objects.delete(key)
    return True


@contextmanager
def _nobody_at_work(installation: Installation, key: str) -> Iterator[None]:
    """Lock out runs that may be about to write the row of this file."""
    with (
        exclusive_work_lock(installation.postgres, name_in(key), IN_USE_S),
        upload_lock(installation.postgres, name_in(key)),
    ):
        yield


def _audio_without_file(installation: Installation) -> list[str]:
    # Read the rows first: files stored in between are then listed.
    rows = installation.postgres.rows(
        "select id, audio_key, audio_size_bytes from ytcaption.media where audio_key is not null",
        {},
    )
    sizes = {stored.key: stored.size_bytes for stored in installation.objects.stored("audio")}
    return sorted(
        row["id"] for row in rows if sizes.get(row["audio_key"]) != row["audio_size_bytes"]
    )


def _forget_audio(installation: Installation, media_id: str) -> bool:
    with (
        removal_lock(installation.postgres),
        exclusive_work_lock(installation.postgres, media_id, IN_USE_S),
    ):
        audio = get_media(installation.postgres, media_id).audio
        if audio is None:
            return False
        if installation.objects.exists(audio.key):
            if installation.objects.size(audio.key) == audio.size_bytes:
                return False
            installation.objects.delete(audio.key)
        forget_audio(installation, media_id)
    return True


def forget_audio(installation: Installation, media_id: str) -> None:
    """Remove the audio from the media's row, and the captions downloaded with it."""
    with installation.postgres.transaction() as connection:
        connection.execute(
            f"update ytcaption.media set {NO_AUDIO}, updated_at = now() where id = %s",  # noqa: S608
            (media_id,),
        )
        delete_reference(connection, media_id)


def _left_writes(installation: Installation) -> list[str]:
    oldest = time.time() - GRACE_S
    return [left.key for left in installation.objects.unfinished() if left.modified_at < oldest]


def _discard_write(installation: Installation, name: str) -> bool:
    return installation.objects.discard(name)


def _left_downloads(installation: Installation) -> list[str]:
    """Return media with a download that no transcription needs. A failed one may continue within a
    day."""
    root, oldest = Path(installation.workspace.root), time.time() - ABANDONED_S
    medias = {path.name.removesuffix(".lock") for path in _in(root) if _changed_at(path) < oldest}
    return sorted(medias - _wanted(installation, medias))


def _remove_download(installation: Installation, media_id: str) -> bool:
    return not _wanted(installation, {media_id}) and installation.workspace.remove(media_id)


def _wanted(installation: Installation, medias: set[str]) -> set[str]:
    rows = installation.postgres.rows(
        "select distinct media_id from ytcaption.transcription "
        "where media_id = any(%(medias)s) and status in ('queued', 'running')",
        {"medias": list(medias)},
    )
    return {row["media_id"] for row in rows}


def _left_files(installation: Installation) -> list[str]:
    """Return partial uploads, samples for a worker, and copies from S3."""
    home, oldest = installation.settings.home, time.time() - ABANDONED_S
    paths = [path for path in _in(home / "uploads") if path.suffix == ".part"]
    paths += home.glob(".samples-*")
    paths += filter(_is_ours, Path(tempfile.gettempdir()).glob(f"{COPY_PREFIX}*"))
    return [str(path) for path in paths if _changed_at(path) < oldest]


def _remove_left_file(_parts: Installation, name: str) -> bool:
    path = Path(name)
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
    return True


def _in(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _changed_at(path: Path) -> float:
    """Return the time of the last change, in seconds since 1970; now if it is gone."""
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
        "stored files that belong to no row",
        "removed",
        _files_without_row,
        one_by_one(_remove_file),
    ),
    Check(
        "audio_without_file",
        "media whose audio is missing or incomplete",
        "removed from the row; downloaded again when needed, uploads must be sent again",
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
        "abandoned partial downloads",
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
