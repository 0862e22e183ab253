"""Captions on their way: from the asset that fetches them to the one that makes the text."""

from dataclasses import dataclass

from psycopg import Connection
from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from resources.postgres.connection import Postgres
from resources.postgres.jsonb import clean
from resources.transcriptions.checkpoints import KEPT_DAYS
from ytcaption.domain.caption_choice import CaptionChoice
from ytcaption.domain.captions.track_segments import CaptionTrack


@dataclass(frozen=True)
class StoredCaptions:
    """What came of looking for captions.

    Attributes:
        track: None: there are none to use; the audio is heard.
    """

    choice: CaptionChoice
    track: CaptionTrack | None


def keep_captions(
    connection: Connection[DictRow], id: str, choice: CaptionChoice, track: CaptionTrack | None
) -> None:
    """Until the transcript is made of them; the run holds the claim."""
    connection.execute(
        "delete from ytcaption.caption_track where saved_at < now() - make_interval(days => %s)",
        (KEPT_DAYS,),
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
    """What this transcription's run, or an attempt before it, has found; None: nobody looked.

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


def forget_captions(connection: Connection[DictRow], id: str) -> None:
    """They have become the text, or are void."""
    connection.execute("delete from ytcaption.caption_track where transcription_id = %s", (id,))
