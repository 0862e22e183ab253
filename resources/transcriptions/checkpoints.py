"""Checkpoints of transcriptions in the database, written by the run that holds the claim."""

import json
import logging
from collections.abc import Sequence

from psycopg import Connection
from psycopg.rows import DictRow

from resources.postgres.connection import Postgres
from resources.transcribe.checkpoint import Checkpoint, Part
from resources.transcriptions.state import claimed_row
from ytcaption.domain.errors import ClaimLost, YtcaptionError

logger = logging.getLogger(__name__)

CHECKPOINT_DAYS = 7
"""Days after which an unused checkpoint is deleted."""


def open_checkpoint(postgres: Postgres, id: str, run_id: str, audio_sha256: str) -> Checkpoint:
    """Return the checkpoint of a transcription: the parts that earlier attempts have transcribed of
    this audio, to which this run adds. The id stands for a media item and all options that change
    the text.

    Raises:
        DatabaseUnavailable: it cannot be read; nothing is lost.
    """
    with postgres.transaction() as connection:
        connection.execute(
            "delete from ytcaption.checkpoint where saved_at < now() - make_interval(days => %s)",
            (CHECKPOINT_DAYS,),
        )
        rows = connection.execute(
            "select part from ytcaption.checkpoint "
            "where transcription_id = %s and audio_sha256 = %s order by number",
            (id, audio_sha256),
        ).fetchall()
    try:
        state: list[Part] = [json.loads(row["part"]) for row in rows]
    except ValueError as error:
        logger.warning("the checkpoint of %s is damaged and not used: %s", id, error)
        state = []
    return Checkpoint(state, _PartWriter(postgres, id, run_id, audio_sha256).save)


def delete_checkpoint(connection: Connection[DictRow], id: str) -> None:
    """Delete the checkpoint: it is invalid, or replaced by the transcript."""
    connection.execute("delete from ytcaption.checkpoint where transcription_id = %s", (id,))


class _PartWriter:
    """Writes parts. Those that came while the database was unavailable go with the next one."""

    def __init__(self, postgres: Postgres, id: str, run_id: str, audio_sha256: str) -> None:
        self._postgres = postgres
        self._id = id
        self._run_id = run_id
        self._audio_sha256 = audio_sha256
        self._waiting: list[Part] = []

    def save(self, part: Part) -> None:
        """See `Checkpoint.save`."""
        self._waiting = [each for each in self._waiting if each["number"] < part["number"]]
        self._waiting.append(part)
        try:
            self._write(self._waiting)
        except ClaimLost:
            raise
        except YtcaptionError as error:
            logger.warning("checkpoint not written yet: %s", error)
        else:
            self._waiting = []

    def _write(self, parts: Sequence[Part]) -> None:
        with self._postgres.transaction() as connection:
            claimed_row(connection, self._id, self._run_id)
            connection.execute(
                "delete from ytcaption.checkpoint "
                "where transcription_id = %s and (number >= %s or audio_sha256 <> %s)",
                (self._id, parts[0]["number"], self._audio_sha256),
            )
            connection.cursor().executemany(
                "insert into ytcaption.checkpoint (transcription_id, number, audio_sha256, part) "
                "values (%s, %s, %s, %s)",
                [
                    (self._id, each["number"], self._audio_sha256, json.dumps(each))
                    for each in parts
                ],
            )
