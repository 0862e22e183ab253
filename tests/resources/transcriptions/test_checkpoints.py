"""Checkpoints in the database: written by the run that holds the claim, for one audio."""

import logging

import pytest

from resources.postgres.connection import Postgres
from resources.transcribe.checkpoint import Part
from resources.transcriptions.checkpoints import open_checkpoint
from resources.transcriptions.run_store import RunStore
from resources.transcriptions.store import RequestStore
from tests.support.transcripts import transcript_of
from ytcaption.domain.errors import ClaimLost
from ytcaption.domain.media.media import MediaSource
from ytcaption.domain.request import TranscriptionOptions
from ytcaption.settings.settings import Settings

SOURCE = MediaSource("url-abc", "direct", "https://example.com/a.mp3", "Generic")
OPTIONS = TranscriptionOptions("base")
AUDIO, OTHER_AUDIO = "ab" * 32, "cd" * 32


def part(number: int, text: str = "") -> Part:
    return Part(
        number=number,
        engine="test",
        language="en",
        language_probability=0.1 + 0.2,
        done_s=10.0 * (number + 1),
        clock_s=9.5,
        segments=[{"text": text}],
    )


@pytest.fixture
def id(request_store: RequestStore, run_store: RunStore) -> str:
    """A transcription claimed by `run-1`."""
    id = request_store.submit(SOURCE, OPTIONS).transcription.id
    run_store.claim(id, "run-1")
    return id


def state(postgres: Postgres, id: str, audio: str = AUDIO) -> list[Part]:
    return list(open_checkpoint(postgres, id, "reader", audio).state)


def test_parts_are_read_as_written(postgres: Postgres, id: str):
    """With the rights of a run; including characters that Postgres cannot store."""
    checkpoint = open_checkpoint(postgres, id, "run-1", AUDIO)
    assert checkpoint.state == []
    said = [part(0, "Grüße, \x00 \ud800 日本"), part(1)]
    for each in said:
        checkpoint.save(each)
    assert state(postgres, id) == said


def test_a_part_replaces_its_number_and_later_ones(postgres: Postgres, id: str):
    """An attempt that starts again leaves no later parts of the attempt before."""
    checkpoint = open_checkpoint(postgres, id, "run-1", AUDIO)
    for each in (part(0), part(1), part(2), part(1, "again")):
        checkpoint.save(each)
    assert state(postgres, id) == [part(0), part(1, "again")]


def test_other_audio_has_a_checkpoint_of_its_own(postgres: Postgres, id: str):
    """Parts of a recording that was downloaded again are not mixed with those of the old one."""
    open_checkpoint(postgres, id, "run-1", AUDIO).save(part(0))
    assert state(postgres, id, OTHER_AUDIO) == []
    open_checkpoint(postgres, id, "run-1", OTHER_AUDIO).save(part(0, "other"))
    assert state(postgres, id, OTHER_AUDIO) == [part(0, "other")]
    assert state(postgres, id) == []


def test_a_run_without_the_claim_writes_nothing(
    postgres: Postgres, request_store: RequestStore, id: str
):
    """Neither a run that another has taken over from, nor a canceled one."""
    late = open_checkpoint(postgres, id, "run-0", AUDIO)
    with pytest.raises(ClaimLost):
        late.save(part(0))
    mine = open_checkpoint(postgres, id, "run-1", AUDIO)
    mine.save(part(0))
    request_store.cancel(id)
    with pytest.raises(ClaimLost):
        mine.save(part(1))
    assert state(postgres, id) == [part(0)], "who asks again goes on there"


def test_parts_of_an_outage_are_written_with_the_next(
    postgres: Postgres, id: str, monkeypatch: pytest.MonkeyPatch, caplog
):
    """Saving fails no run while the database is unavailable."""
    checkpoint = open_checkpoint(postgres, id, "run-1", AUDIO)
    checkpoint.save(part(0))
    with monkeypatch.context() as away, caplog.at_level(logging.WARNING):
        away.setattr("resources.postgres.connection._WAIT_S", 0.1)
        away.setattr("resources.postgres.connection._pool", _refuses)
        checkpoint.save(part(1))
    assert "not written yet" in caplog.text
    assert state(postgres, id) == [part(0)]
    checkpoint.save(part(2))
    assert state(postgres, id) == [part(0), part(1), part(2)]


def _refuses(*_: object):
    import psycopg

    raise psycopg.OperationalError("connection refused")


def test_a_damaged_checkpoint_is_ignored(postgres: Postgres, id: str, caplog):
    """A warning is logged; the next part replaces it."""
    checkpoint = open_checkpoint(postgres, id, "run-1", AUDIO)
    checkpoint.save(part(0))
    with postgres.transaction() as connection:
        connection.execute("delete from ytcaption.checkpoint")
        connection.execute(
            "insert into ytcaption.checkpoint values (%s, 0, %s, '{\"number\": 0, ')", (id, AUDIO)
        )
    with caplog.at_level(logging.WARNING):
        checkpoint = open_checkpoint(postgres, id, "run-1", AUDIO)
    assert checkpoint.state == []
    assert "damaged" in caplog.text
    checkpoint.save(part(0))
    assert state(postgres, id) == [part(0)]


def test_it_is_deleted_when_the_transcript_is_stored(
    postgres: Postgres, request_store: RequestStore, run_store: RunStore, id: str
):
    """Both happen in one transaction."""
    open_checkpoint(postgres, id, "run-1", AUDIO).save(part(0))
    run_store.transcript_stored(id, "run-1", transcript_of(id), f"transcripts/{id}.json", AUDIO)
    assert state(postgres, id) == []


def test_force_starts_from_nothing(settings: Settings, postgres: Postgres, id: str):
    """A canceled one continues when requested again; with force it does not. By the API's
    rights."""
    store = RequestStore.from_settings(settings, "api")
    open_checkpoint(postgres, id, "run-1", AUDIO).save(part(0))
    store.cancel(id)
    store.submit(SOURCE, OPTIONS)
    assert state(postgres, id) == [part(0)]
    store.submit(SOURCE, OPTIONS, force=True)
    assert state(postgres, id) == []


def test_it_is_deleted_after_a_week(postgres: Postgres, request_store: RequestStore, id: str):
    """A week after its last part, if no attempt continues it."""
    open_checkpoint(postgres, id, "run-1", AUDIO).save(part(0))
    with request_store.postgres.transaction() as connection:
        connection.execute("update ytcaption.checkpoint set saved_at = now() - interval '8 days'")
    assert state(postgres, id) == []
    with request_store.postgres.transaction() as connection:
        assert connection.execute("select 1 from ytcaption.checkpoint").fetchall() == []
