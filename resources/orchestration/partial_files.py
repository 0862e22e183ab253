"""What a run that was ended has left half done on this machine and in the object store."""

from resources.download.workspace import Workspace
from resources.object_store.store import ObjectStore, audio_key, document_key
from resources.postgres.connection import Postgres
from ytcaption.settings import Settings


def remove_partial_files(settings: Settings, postgres: Postgres, id: str, media_id: str) -> None:
    """Leave nothing of a transcription's download and unfinished writes; what is published stays,
    and so does what others that are not at rest go on with.

    Raises:
        DatabaseUnavailable, ObjectStoreUnavailable: repeat it.
    """
    objects = ObjectStore.from_settings(settings)
    objects.discard_unfinished(document_key(id))
    if not _is_wanted(postgres, media_id):
        objects.discard_unfinished(audio_key(media_id, ""))
        Workspace.from_settings(settings).remove(media_id, is_ending=True)


def _is_wanted(postgres: Postgres, media_id: str) -> bool:
    return bool(
        postgres.rows(
            "select from ytcaption.transcription "
            "where media_id = %(media_id)s and status in ('queued', 'running') limit 1",
            {"media_id": media_id},
        )
    )
