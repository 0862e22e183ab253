"""After an erasure no byte of it is left in the databases, the objects, the lake, the home."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import dagster as dg
import psycopg
import pyarrow.parquet as parquet
import pytest
from psycopg import sql

from resources.maintenance.erasure import Erasure
from resources.orchestration.dagster_internals import LocalComputeLogManager
from resources.postgres.programs import dump
from resources.postgres.urls import database_urls, libpq_url
from resources.transcribe.checkpoint import Part
from resources.transcribe.transcriber import EngineInfo, Transcriber
from resources.transcriptions.checkpoints import open_checkpoint
from resources.transcriptions.drafts import add_drafts
from resources.transcriptions.reads import get_media
from resources.transcriptions.run_store import RunStore
from resources.transcriptions.store import RequestStore
from tests.api.conftest import dagster_home  # noqa: F401 - a fixture
from tests.support.servers.media_server import MediaServer
from tests.support.transcripts import spoken
from tests.ytcaption_assets.assets.conftest import Graph, environment, media_server  # noqa: F401 - fixtures
from ytcaption.domain.media.media import MediaSource, url_media_id
from ytcaption.domain.request import TranscriptionOptions
from ytcaption.domain.transcripts.transcript import DroppedSegment, Recognition
from ytcaption.settings.settings import Settings

SAID, DROPPED, TITLE, NOTE = "Quarkzwerg", "Mumpitzfee", "Zebrafinktitel", "Kundennotiz"
SECRETS = (SAID, DROPPED, TITLE, NOTE)


class Speaker(Transcriber):
    """Transcribes one word that occurs nowhere else, and one that it drops."""

    def transcribe(
        self, waveform, options, on_progress, on_segment=None, checkpoint=None
    ) -> Recognition:
        """Return the same result always."""
        dropped = DroppedSegment(1.0, 2.0, DROPPED, "loop")
        return Recognition("en", 1.0, 11.0, 1.0, (spoken(f"{SAID} speaks."),), (dropped,))

    def describe(self, model) -> EngineInfo:
        """Describe this transcriber."""
        return EngineInfo("test", "1", model, "0" * 64, "cpu", "int8")


@dataclass
class Storage:
    """Everything that may hold bytes."""

    settings: Settings
    dagster_home: Path

    def holding(self, word: str) -> list[str]:
        """Names of the parts that contain the word."""
        return sorted({*self._tables(word), *self._files(word), *self._parquet(word)})

    def dumps_holding(self, word: str) -> list[str]:
        """Names of the databases whose dump contains the word, as a backup would."""
        urls = database_urls(self.settings)
        found = []
        for name, url in (("ytcaption", urls.admin), ("dagster", libpq_url(urls.dagster_storage))):
            path = self.dagster_home / f"{name}.sql"
            dump(url, path, ["--format=plain"], server_major=18)
            text = path.read_bytes()
            path.unlink()
            if word.encode() in text or word.encode().hex().encode() in text:
                found.append(name)
        return found

    def _tables(self, word: str) -> Iterator[str]:
        urls = database_urls(self.settings)
        for url in (urls.admin, urls.dagster_storage.replace("postgresql+psycopg2", "postgresql")):
            with psycopg.connect(url, autocommit=True) as connection:
                tables = connection.execute(
                    "select schemaname, tablename from pg_tables "
                    "where schemaname not in ('pg_catalog', 'information_schema')"
                ).fetchall()
                for schema, table in tables:
                    # A row as text shows bytea in hexadecimal digits.
                    query = sql.SQL(
                        "select 1 from {}.{} as t where t::text like %(word)s "
                        "or t::text like %(hex)s limit 1"
                    ).format(sql.Identifier(schema), sql.Identifier(table))
                    patterns = {"word": f"%{word}%", "hex": f"%{word.encode().hex()}%"}
                    if connection.execute(query, patterns).fetchone():
                        yield f"{schema}.{table}"

    def _files(self, word: str) -> Iterator[str]:
        for folder in (self.settings.home, self.dagster_home):
            for path in folder.rglob("*"):
                if path.is_file() and word.encode() in path.read_bytes():
                    yield str(path.relative_to(folder))

    def _parquet(self, word: str) -> Iterator[str]:
        for path in self.settings.home.rglob("*.parquet"):
            if word in str(parquet.ParquetFile(path).read().to_pylist()):
                yield str(path.relative_to(self.settings.home))


@pytest.fixture
def storage(settings: Settings, dagster_home: Path) -> Storage:
    """Of this installation."""
    return Storage(settings, dagster_home)


@pytest.mark.long
def test_no_byte_is_left(
    environment,
    dagster_home: Path,
    media_server: MediaServer,
    request_store: RequestStore,
    run_store: RunStore,
    settings: Settings,
    storage: Storage,
):
    """Of the speech, dropped text, title and notes, while another's transcription stays
    complete."""
    instance = dg.DagsterInstance.get()
    graph = Graph(Settings(_env_file=None), request_store, instance)  # pyright: ignore
    with request_store.postgres.transaction() as connection:
        connection.execute(
            "insert into ytcaption.webhook (owner, url) values ('local', %s)",
            (f"https://example.org/{NOTE}",),
        )
    url = media_server.url("jfk.flac")
    other = graph.submit(f"{url}?other")
    id = _submit(request_store, url)
    for key in (other, id):
        resources = {"transcriber": Speaker() if key == id else _Other()}
        assert graph.run(key, attempt=1, resources=resources).success
    run_store.claim(id, "again")  # somebody runs it by hand once more
    add_drafts(request_store.postgres, id, "again", [spoken(f"{SAID} again.")])
    audio = get_media(request_store.postgres, url_media_id(url)).audio
    assert audio is not None
    said = [asdict(spoken(f"{SAID} once more."))]
    part = Part(
        number=0,
        engine="test",
        language="en",
        language_probability=1.0,
        done_s=1.0,
        clock_s=1.0,
        segments=said,
    )
    open_checkpoint(request_store.postgres, id, "again", audio.sha256).save(part)
    _answer(request_store, f"{NOTE} received {TITLE}")
    [run] = instance.get_runs(dg.RunsFilter(tags={"dagster/partition": id}))
    logs = settings.home / "logs"
    logs.mkdir(exist_ok=True)
    (logs / "transcribe-1.log").write_text(f"{run.run_id} {TITLE}")
    (logs / "transcribe-2.log").write_text("Nachbar")
    manager = instance.compute_log_manager
    assert isinstance(manager, LocalComputeLogManager)
    key = [run.run_id, "compute_logs", "abc"]
    log = Path(manager.get_captured_local_path(key, "out"))
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text(f"{SAID} {TITLE}")
    found = {word: storage.holding(word) for word in SECRETS}
    assert {"ytcaption.segment", "ytcaption.draft_segment", "ytcaption.checkpoint"} <= set(
        found[SAID]
    )
    assert any(place.endswith(".parquet") for place in found[SAID])
    assert any("transcripts/" in place for place in found[SAID])
    assert "public.event_logs" in found[SAID]
    assert {"ytcaption.delivery", "ytcaption.delivery_attempt"} <= set(found[NOTE])
    assert any("compute_logs" in place for place in found[TITLE])
    assert "logs/transcribe-1.log" in found[TITLE]
    assert storage.dumps_holding(SAID) == ["ytcaption", "dagster"]
    assert all(found.values()), "the search finds what is there"

    assert Erasure.from_settings(settings).erase(id, force=True)
    with request_store.postgres.transaction() as connection:
        connection.execute("delete from ytcaption.webhook")  # its owner's, whatever was erased

    assert {word: storage.holding(word) for word in SECRETS} == {word: [] for word in SECRETS}
    assert {word: storage.dumps_holding(word) for word in (SAID, TITLE)} == {SAID: [], TITLE: []}
    assert (logs / "transcribe-2.log").exists()
    assert not graph.objects.exists(audio.key)
    kept = storage.holding("Nachbar")
    assert {"ytcaption.segment", "public.event_logs", "public.asset_keys"} & set(kept)
    assert any(place.endswith(".parquet") for place in kept)


def _answer(store: RequestStore, text: str) -> None:
    """A receiver's answer to all deliveries."""
    with store.postgres.transaction() as connection:
        connection.execute(
            "insert into ytcaption.delivery_attempt (delivery_id, number, took_s, outcome, answer) "
            "select id, 1, 0.1, 'delivered', %s from ytcaption.delivery "
            "where transcription_id = (select max(transcription_id) from ytcaption.request "
            "where metadata <> '{}')",
            (text,),
        )


class _Other(Speaker):
    def transcribe(
        self, waveform, options, on_progress, on_segment=None, checkpoint=None
    ) -> Recognition:
        return Recognition("en", 1.0, 11.0, 1.0, (spoken("Nachbar speaks."),), ())


def _submit(store: RequestStore, url: str) -> str:
    source = MediaSource(url_media_id(url), "direct", url, "Generic", f"{TITLE}.flac")
    options = TranscriptionOptions(model="tiny.en", language="en")
    return store.submit(source, options, metadata={"note": NOTE}).transcription.id
