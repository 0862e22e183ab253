"""Captions of sources, stored between the asset that downloads them and `transcription`."""

from dataclasses import dataclass

from psycopg import Connection
from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from resources.postgres.connection import Postgres
from resources.postgres.jsonb import clean
from resources.transcriptions.checkpoints import CHECKPOINT_DAYS
from ytcaption.domain.caption_choice import CaptionChoice
from ytcaption.domain.captions.track_segments import CaptionTrack


@dataclass(frozen=True)
class StoredCaptions:
    """Which captions are used, and why.

    Attributes:
        track: the captions; None: there are none to use, and the audio is transcribed.
    """

    choice: CaptionChoice
    track: CaptionTrack | None


def store_captions(
    connection: Connection[DictRow], id: str, choice: CaptionChoice, track: CaptionTrack | None
) -> None:
    """Store captions until the transcript is made. The caller holds the claim. Deletes those older
    than `CHECKPOINT_DAYS`."""
    connection.execute(
        "delete from ytcaption.caption_track where saved_at < now() - make_interval(days => %s)",
        (CHECKPOINT_DAYS,),
    )
    connection.execute(
        """
        insert into ytcaption.caption_track (transcription_id, choice, extension, track)
        values (%(id)s, %(choice)s, %(extension)s, %(track)s)
        on conflict (transcription_id) do update
        set choice = excluded.choice, extension = excluded.extension, track = excluded.track,
            saved_at = now()
        """,
        {
            "id": id,
            "choice": Jsonb(clean(choice.to_dict())),
            "extension": track.extension if track is not None else None,
            "track": track.data if track is not None else None,
        },
    )


def stored_captions(postgres: Postgres, id: str) -> StoredCaptions | None:
    """Return the captions chosen by this attempt or an earlier one; None: not decided yet.

    Raises:
        DatabaseUnavailable: it cannot be read.
    """
    with postgres.transaction() as connection:
        row = connection.execute(
            "select choice, extension, track from ytcaption.caption_track "
            "where transcription_id = %s",
            (id,),
        ).fetchone()
    if row is None:
        return None
    track = None
    if row["track"] is not None:
        track = CaptionTrack(row["extension"], bytes(row["track"]))
    return StoredCaptions(CaptionChoice(**row["choice"]), track)


def delete_captions(connection: Connection[DictRow], id: str) -> None:
    """Delete the captions: they are invalid, or replaced by the transcript."""
    connection.execute("delete from ytcaption.caption_track where transcription_id = %s", (id,))
