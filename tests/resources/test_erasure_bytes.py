"""After an erasure no byte of it is left in the databases, the objects, the lake, the home."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import dagster as dg
import psycopg
import pyarrow.parquet as parquet
import pytest
from psycopg import sql

from resources.checkpoint import Part
from resources.checkpoint_store import open_checkpoint
from resources.database_urls import database_urls
from resources.draft_segments import add_drafts
from resources.erasure import Erasure
from resources.request_store import RequestStore
from resources.transcriber import EngineInfo
from resources.whisper import Transcriber
from tests.api.conftest import dagster_home  # noqa: F401 - a fixture
from tests.assets.conftest import Graph, environment, media_server  # noqa: F401 - fixtures
from tests.media_server import MediaServer
from tests.transcripts import spoken
from ytcaption_assets.domain.media import MediaSource, url_media_id
from ytcaption_assets.domain.request import TranscriptionOptions
from ytcaption_assets.domain.transcript import DroppedSegment, Recognition
from ytcaption_assets.settings import Settings

SAID, DROPPED, TITLE, NOTE = "Quarkzwerg", "Mumpitzfee", "Zebrafinktitel", "Kundennotiz"
SECRETS = (SAID, DROPPED, TITLE, NOTE)


class Speaker(Transcriber):
    """Hears one word that occurs nowhere else, and one that it does not believe."""

    def transcribe(
        self, waveform, options, on_progress, on_segment=None, checkpoint=None
    ) -> Recognition:
        """What it always hears."""
        dropped = DroppedSegment(1.0, 2.0, DROPPED, "loop")
        return Recognition("en", 1.0, 11.0, 1.0, (spoken(f"{SAID} speaks."),), (dropped,))

    def describe(self, model) -> EngineInfo:
        """Itself."""
        return EngineInfo("test", "1", model, "0" * 64, "cpu", "int8")


@dataclass
class Places:
    """Where bytes can be."""

    settings: Settings

    def holding(self, word: str) -> list[str]:
        """Names of the places that hold the word."""
        return sorted({*self._tables(word), *self._files(word), *self._parquet(word)})

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
        for path in self.settings.home.rglob("*"):
            if path.is_file() and word.encode() in path.read_bytes():
                yield str(path.relative_to(self.settings.home))

    def _parquet(self, word: str) -> Iterator[str]:
        for path in self.settings.home.rglob("*.parquet"):
            if word in str(parquet.ParquetFile(path).read().to_pylist()):
                yield str(path.relative_to(self.settings.home))


@pytest.fixture
def places(settings: Settings) -> Places:
    """Of this installation."""
    return Places(settings)


def test_no_byte_is_left(
    environment,
    dagster_home: Path,
    media_server: MediaServer,
    request_store: RequestStore,
    settings: Settings,
    places: Places,
):
    """Of what was said, dropped, named and noted, while another's transcription stays whole."""
    graph = Graph(Settings(_env_file=None), request_store, dg.DagsterInstance.get())  # pyright: ignore
    url = media_server.url("jfk.flac")
    other = graph.submit(f"{url}?other")
    id = _submit(request_store, url)
    for key in (other, id):
        resources = {"transcriber": Speaker() if key == id else _Other()}
        assert graph.run(key, attempt=1, resources=resources).success
    request_store.claim(id, "again")  # somebody runs it by hand once more
    add_drafts(request_store.postgres, id, "again", [spoken(f"{SAID} again.")])
    audio = request_store.media(url_media_id(url)).audio
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
    found = {word: places.holding(word) for word in SECRETS}
    assert {"ytcaption.segment", "ytcaption.draft_segment", "ytcaption.checkpoint"} <= set(
        found[SAID]
    )
    assert any(place.endswith(".parquet") for place in found[SAID])
    assert any("transcripts/" in place for place in found[SAID])
    assert "public.event_logs" in found[SAID]
    assert all(found.values()), "the search finds what is there"

    assert Erasure.from_settings(settings).erase(id, force=True)

    assert {word: places.holding(word) for word in SECRETS} == {word: [] for word in SECRETS}
    assert not graph.objects.exists(audio.key)
    kept = places.holding("Nachbar")
    assert {"ytcaption.segment", "public.event_logs", "public.asset_keys"} & set(kept)
    assert any(place.endswith(".parquet") for place in kept)


class _Other(Speaker):
    def transcribe(
        self, waveform, options, on_progress, on_segment=None, checkpoint=None
    ) -> Recognition:
        return Recognition("en", 1.0, 11.0, 1.0, (spoken("Nachbar speaks."),), ())


def _submit(store: RequestStore, url: str) -> str:
    source = MediaSource(url_media_id(url), "direct", url, "Generic", f"{TITLE}.flac")
    options = TranscriptionOptions(model="tiny.en", language="en")
    return store.submit(source, options, metadata={"note": NOTE}).transcription.id
