"""Turns a URL or file from the command line into a source for the store."""

import hashlib
from collections.abc import Callable
from pathlib import Path

from resources.object_store.store import ObjectStore, upload_key
from resources.sites.resolve import resolve_source
from ytcaption.domain.errors import EmptyFile, FileUnreadable
from ytcaption.domain.media.media import MediaSource, upload_media_id
from ytcaption.settings.settings import Settings
from ytcaption_assets.cli.transcribe.source_argument import file_named

_BLOCK_BYTES = 1 << 20


def source_named(
    name: str,
    settings: Settings,
    object_store: ObjectStore,
    on_progress: Callable[[int, int], None],
) -> MediaSource:
    """Return the source of a URL or a local file, which is copied into the object store.

    Args:
        name: a URL, or a path.
        on_progress: called with the bytes read and the total, for a file.

    Raises:
        InputError: it is neither, or is not allowed.
        EmptyFile: the file has zero bytes.
    """
    path = file_named(name)
    if path is not None:
        return _stored_file(path, object_store, on_progress)
    return resolve_source(
        name, sites=settings.download.sites, allowed_networks=settings.download.allowed_networks
    )


def _stored_file(
    path: Path, object_store: ObjectStore, on_progress: Callable[[int, int], None]
) -> MediaSource:
    try:
        total = path.stat().st_size
        if total == 0:
            raise EmptyFile.named(path.name)
        digest = hashlib.sha256()
        with path.open("rb") as file:
            while block := file.read(_BLOCK_BYTES):
                digest.update(block)
                on_progress(file.tell(), total)
    except OSError as error:
        raise FileUnreadable(f"{path} cannot be read: {error.strerror}.") from error
    media_id = upload_media_id(digest.hexdigest())
    if not object_store.exists(upload_key(media_id)):
        object_store.write_file(upload_key(media_id), path)
    return MediaSource(media_id=media_id, kind="upload", title=path.stem)
