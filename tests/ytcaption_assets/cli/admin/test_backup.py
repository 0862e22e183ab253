"""A backup made while others write restores the same installation elsewhere."""

import hashlib
import json
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Self

import psycopg
import pytest
from click.testing import Result
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from api.app import create_app
from resources.backup.create import UNFINISHED, make_backup
from resources.backup.manifest import MANIFEST, Manifest
from resources.lake.catalog import TranscriptCatalog
from resources.lake.documents import stored_document
from resources.maintenance.erasure import Erasure
from resources.object_store.store import ObjectStore, document_key
from resources.postgres.connection import Postgres, close_pools
from resources.postgres.embedded import running_postgres
from resources.postgres.migrate import migrate
from resources.postgres.programs import dump
from resources.postgres.urls import database_urls, with_database
from resources.transcriptions.reads import completed_ids, get_media, get_transcription
from resources.transcriptions.run_store import RunStore
from resources.transcriptions.store import RequestStore
from tests.resources.maintenance.test_erasure import MEDIA, RUN, Here
from tests.support.servers.postgres_servers import (
    DEBIAN_PROGRAMS,
    DatabaseServer,
)
from tests.support.transcription_events import transcription_events
from tests.support.transcripts import make_transcript, spoken
from ytcaption.domain.errors import (
    BackupRunning,
    InputError,
    SetupError,
    StorageError,
    YtcaptionError,
)
from ytcaption.domain.events import EventType
from ytcaption.domain.media.media import MediaInfo, MediaSource, StoredAudio
from ytcaption.domain.request import TranscriptionOptions, TranscriptionStatus
from ytcaption.settings.settings import Settings
from ytcaption_assets.cli.main import app
from ytcaption_assets.cli.up.dagster_home import dagster_instance

BASE = TranscriptionOptions("base")


class Quiet:
    """Records the steps of a backup."""

    def __init__(self) -> None:
        self.steps: list[str] = []

    def step(self, what: str, total_bytes: int | None = None) -> None:
        """Record a step."""
        self.steps.append(what)

    def advance(self, size_bytes: int) -> None:
        """Ignore the progress."""


class Writer:
    """Does another process's work: completes one transcription after the other."""

    def __init__(self, settings: Settings) -> None:
        self.ids: list[str] = []
        self._here = Here(
            RequestStore.from_settings(settings, "admin"),
            ObjectStore.from_settings(settings),
            settings,
        )
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._work)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def complete(self, number: int) -> str:
        """Complete a transcription with a document and rows in the lake; return its id."""
        run_store, objects = self._here.run_store, self._here.objects
        source = MediaSource(f"youtube-{number}", "site", f"https://youtu.be/{number}", "Youtube")
        id = self._here.store.submit(source, BASE).transcription.id
        run_store.claim(id, RUN)
        key = f"audio/{source.media_id}.webm"
        written = objects.write_bytes(key, b"audio of " + str(number).encode() * 1000)
        audio = StoredAudio(key, written.sha256, written.size_bytes, 1.0, "opus", "webm", 48000, 1)
        run_store.audio_stored(id, RUN, MediaInfo(title=f"Title {number}"), audio)
        transcript = make_transcript(spoken(f"Good night, {number}."), id=id, model="base")
        document = objects.write_bytes(document_key(id), transcript.to_json())
        run_store.transcript_stored(id, RUN, transcript, document_key(id), document.sha256)
        self._here.lake.append(transcript, source, MediaInfo(title=f"Title {number}"))
        run_store.complete(id, RUN)
        return id

    def _work(self) -> None:
        number = 1000
        while not self._ended.is_set():
            self.ids.append(self.complete(number))
            number += 1


@contextmanager
def at_home(home: Path, monkeypatch: pytest.MonkeyPatch, **variables: str) -> Iterator[Settings]:
    """Set the environment of another installation; yield its settings."""
    with monkeypatch.context() as patch:
        for name in list(os.environ):
            if name.startswith("YTCAPTION_"):
                patch.delenv(name)
        patch.setenv("YTCAPTION_HOME", str(home))
        for name, value in variables.items():
            patch.setenv(name, value)
        settings = Settings(_env_file=None)  # pyright: ignore[reportCallIssue]
        yield settings
        close_pools(database_urls(settings))


def ytcaption(*arguments: str) -> Result:
    """Run the command; raise its errors."""
    result = CliRunner().invoke(app, arguments)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def results(settings: Settings) -> dict[str, bytes]:
    """Return each completed transcription's document, read by its checksum in the database."""
    store = RequestStore.from_settings(settings, "admin")
    objects = ObjectStore.from_settings(settings)
    documents = {}
    for id in completed_ids(store.postgres):
        row = get_transcription(store.postgres, id)
        assert row.document_key is not None
        documents[id] = objects.read_bytes(row.document_key, row.document_sha256)
        media = get_media(store.postgres, row.media_id)
        assert media.audio is not None
        objects.read_bytes(media.audio.key, media.audio.sha256)
    return documents


def assert_sound(settings: Settings, ids: list[str]) -> None:
    """Check that the lake matches the documents, and that the API has the rights it needs."""
    store = RequestStore.from_settings(settings, "dagster")
    objects = ObjectStore.from_settings(settings)
    catalog = TranscriptCatalog.from_settings(settings)
    report = catalog.verify(
        partial(completed_ids, store.postgres), partial(stored_document, store.postgres, objects)
    )
    assert report.is_sound and report.transcription_count == len(ids)
    with TestClient(create_app(settings), base_url="http://127.0.0.1") as client:
        for id in ids[:3]:
            response = client.get(f"/api/v1/transcriptions/{id}/result?format=json")
            assert response.json() == json.loads(objects.read_bytes(document_key(id)))
        url = "https://youtu.be/aaaaaaaaaaa"
        assert client.post("/api/v1/transcriptions", json={"url": url}).status_code == 202


@pytest.mark.long
def test_an_embedded_home_is_restored_from_a_backup_made_during_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Documents are the same bytes. Transcriptions completed after the dump are missing as a whole.

    Running ones are queued again; events, Dagster's partitions and the webhook key are there.
    """
    folder = tmp_path / "backup"
    with at_home(tmp_path / "a", monkeypatch) as settings, running_postgres(settings):
        migrate(settings)
        writer = Writer(settings)
        first = [writer.complete(number) for number in range(3)]
        (settings.home / "webhook.key").write_text("a key\n")
        running = RequestStore.from_settings(settings, "admin").submit(MEDIA, BASE).transcription.id
        RunStore.from_settings(settings, "admin").claim(running, RUN)
        with dagster_instance(settings) as instance:
            instance.add_dynamic_partitions("transcriptions", first)
        with Writer(settings) as writer:
            made = ytcaption("backup", str(folder))
        assert made.exit_code == 0, made.output
        before = results(settings)
    assert (folder / MANIFEST).exists() and not folder.with_name(f"backup{UNFINISHED}").exists()
    assert (folder.stat().st_mode & 0o077) == 0
    with at_home(tmp_path / "b", monkeypatch) as settings:
        restored = ytcaption("restore", str(folder))
        assert restored.exit_code == 0, restored.output
        assert "that were running then are queued again" in restored.output
        with running_postgres(settings):
            after = results(settings)
            assert set(first) <= set(after) <= set(before)
            assert all(before[id] == document for id, document in after.items())
            store = RequestStore.from_settings(settings, "admin")
            assert get_transcription(store.postgres, running).status is TranscriptionStatus.QUEUED
            assert (
                transcription_events(store.postgres, first[0])[-1].event_type
                == EventType.TRANSCRIPTION_COMPLETED
            )
            with dagster_instance(settings) as instance:
                assert instance.get_dynamic_partitions("transcriptions") == first
            assert_sound(settings, sorted(after))
            with pytest.raises(SetupError, match="not empty: it contains media"):
                ytcaption("restore", str(folder))
        assert (settings.home / "webhook.key").read_text() == "a key\n"
        assert ytcaption("restore", str(folder), "--replace").exit_code == 0
        with running_postgres(settings):
            assert set(results(settings)) == set(after)


@pytest.mark.slow
@pytest.mark.parametrize("name", list(DEBIAN_PROGRAMS))
def test_a_database_server_is_restored(
    name: str,
    database_servers: Callable[[str], DatabaseServer],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    """The databases are others of a server that is not ours, and the user is not a superuser."""
    server = database_servers(name)
    server.clean()
    folder = tmp_path / "backup"
    with at_home(tmp_path / "a", monkeypatch, YTCAPTION_DATABASE_URL=server.url) as settings:
        writer = Writer(settings)
        first = [writer.complete(number) for number in range(2)]
        assert ytcaption("backup", str(folder)).exit_code == 0
        before = results(settings)
    variables = {
        "YTCAPTION_DATABASE_URL": with_database(server.url, "brought_back"),
        "YTCAPTION_DAGSTER_DATABASE_URL": with_database(server.url, "brought_back_dagster"),
    }
    with at_home(tmp_path / "b", monkeypatch, **variables) as settings:
        assert ytcaption("restore", str(folder)).exit_code == 0
        assert results(settings) == before
        assert_sound(settings, sorted(first))
    server.clean()


class Interrupted(Exception):
    """Stands in for SIGKILL: nothing is cleaned up after it."""


@pytest.mark.slow
def test_an_interrupted_backup_continues(settings: Settings, tmp_path: Path):
    """The folder gets its name when it is complete; files already copied are not copied again."""
    writer = Writer(settings)
    ids = [writer.complete(number) for number in range(3)]
    folder = tmp_path / "backup"

    class Dying(Quiet):
        def advance(self, size_bytes: int) -> None:
            raise Interrupted

    with pytest.raises(Interrupted):
        make_backup(settings, folder, Dying(), with_key=True)
    unfinished = folder.with_name(f"backup{UNFINISHED}")
    copied = {path: path.stat().st_ino for path in unfinished.rglob("objects/**/*.*")}
    assert copied and not folder.exists()
    stale = unfinished / "objects" / "audio" / "erased-since.webm"
    stale.write_bytes(b"x")
    manifest = make_backup(settings, folder, Quiet(), with_key=True)
    for path, inode in copied.items():
        if path.is_file():
            assert (folder / path.relative_to(unfinished)).stat().st_ino == inode
    assert f"transcripts/{ids[0]}.json" in manifest.keys
    assert not (folder / "objects" / "audio" / stale.name).exists()
    with pytest.raises(InputError, match="is not empty"):
        make_backup(settings, folder, Quiet(), with_key=True)


@pytest.mark.slow
def test_nothing_is_erased_while_a_backup_is_made(settings: Settings, tmp_path: Path):
    """Erasing and compaction raise an error meanwhile."""
    id = Writer(settings).complete(1)
    erasure = Erasure.from_settings(settings)
    catalog = TranscriptCatalog.from_settings(settings)
    refused: list[YtcaptionError] = []

    class Erasing(Quiet):
        def advance(self, size_bytes: int) -> None:
            for erase in (lambda: erasure.erase(id), catalog.compact):
                try:
                    erase()
                except BackupRunning as error:
                    refused.append(error)

    make_backup(settings, tmp_path / "backup", Erasing(), with_key=True)
    assert len(refused) >= 2 and get_transcription(Postgres.from_settings(settings, "admin"), id)


@pytest.mark.slow
def test_a_file_replaced_during_the_backup_causes_another_dump(settings: Settings, tmp_path: Path):
    """The checksums in the backup's database are those of its files."""
    id = Writer(settings).complete(1)
    objects = ObjectStore.from_settings(settings)

    class Replacing(Quiet):
        def step(self, what: str, total_bytes: int | None = None) -> None:
            super().step(what, total_bytes)
            if what == "Listing the files" and self.steps.count(what) == 1:
                written = objects.write_bytes(document_key(id), b"{}")
                with Postgres.from_settings(settings, "admin").transaction() as connection:
                    connection.execute(
                        "update ytcaption.transcription set document_sha256 = %s",
                        (written.sha256,),
                    )

    progress = Replacing()
    manifest = make_backup(settings, tmp_path / "backup", progress, with_key=True)
    assert "Dumping the databases again" in progress.steps and manifest.wrong == {}


@pytest.mark.slow
def test_a_missing_file_is_reported(settings: Settings, tmp_path: Path):
    """All other files are in the backup; the exit status is 1."""
    id, other = (Writer(settings).complete(number) for number in (1, 2))
    ObjectStore.from_settings(settings).delete(document_key(id))
    made = ytcaption("backup", str(tmp_path / "backup"))
    assert made.exit_code == 1 and document_key(id) in made.output
    manifest = Manifest.parse((tmp_path / "backup" / MANIFEST).read_bytes())
    assert manifest.wrong == {document_key(id): "missing"}
    assert (tmp_path / "backup" / "objects" / document_key(other)).exists()


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["changed", "missing", "later", "none"])
def test_a_damaged_backup_changes_nothing(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str
):
    """All files are compared with their checksums before anything is changed."""
    Writer(settings).complete(1)
    folder = tmp_path / "backup"
    make_backup(settings, folder, Quiet(), with_key=True)
    [document] = (folder / "objects" / "transcripts").iterdir()
    if damage == "changed":
        document.write_bytes(document.read_bytes().replace(b"Good", b"Best"))
    elif damage == "missing":
        document.unlink()
    elif damage == "none":
        folder = folder / "objects"
    else:
        raw = json.loads((folder / MANIFEST).read_text())
        (folder / MANIFEST).write_text(json.dumps(raw | {"migration": 999}))
    before = results(settings)
    with pytest.raises((StorageError, SetupError, InputError)):
        ytcaption("restore", str(folder), "--replace")
    assert results(settings) == before


_HOSTILE = """
create function ytcaption.hostile_act() returns integer language plpgsql as $$
begin
    copy (select 1) to program 'cat > {witness}';
    return 1;
end
$$;
create function ytcaption.hostile() returns integer language plpgsql immutable as $$
begin
    return ytcaption.hostile_act();
end
$$;
create index hostile on ytcaption.media (ytcaption.hostile());
create function ytcaption.hostile_trigger() returns trigger language plpgsql security definer as $$
begin
    perform ytcaption.hostile();
    return new;
end
$$;
create trigger hostile before insert on ytcaption.media
    for each row execute function ytcaption.hostile_trigger();
"""


@pytest.mark.slow
def test_a_backup_runs_no_sql(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Neither of an index, which loading the dump would run, nor of a trigger, which would stay.

    The rows are restored; of the definitions nothing.
    """
    folder, witness = tmp_path / "backup", Path(tempfile.mkdtemp(dir="/tmp")) / "witness"
    witness.parent.chmod(0o777)  # the server may run as another user
    with at_home(tmp_path / "a", monkeypatch) as settings, running_postgres(settings):
        migrate(settings)
        id = Writer(settings).complete(1)
        with psycopg.connect(database_urls(settings).admin, autocommit=True) as connection:
            connection.execute(_HOSTILE.replace("{witness}", str(witness)))  # pyright: ignore
        assert witness.exists(), "the backup is not hostile"
        assert ytcaption("backup", str(folder)).exit_code == 0
    witness.unlink()
    with at_home(tmp_path / "b", monkeypatch) as settings:
        assert ytcaption("restore", str(folder)).exit_code == 0
        with running_postgres(settings):
            assert list(results(settings)) == [id]
            with psycopg.connect(database_urls(settings).admin, autocommit=True) as connection:
                row = connection.execute(
                    "select count(*) from pg_proc where proname like 'hostile%'"
                ).fetchone()
                assert row == (0,)
            RequestStore.from_settings(settings, "admin").submit(MEDIA, BASE)
    assert not witness.exists()
    shutil.rmtree(witness.parent)


@pytest.mark.slow
@pytest.mark.parametrize("where", ["ytcaption", "elsewhere"])
def test_a_dump_with_other_objects_is_refused(settings: Settings, tmp_path: Path, where: str):
    """Of another kind by the dump's list, of an unknown table by its rows; nothing is changed."""
    id = Writer(settings).complete(1)
    folder = tmp_path / "backup"
    admin = database_urls(settings).admin
    table = "ytcaption.other" if where == "ytcaption" else "other_schema.place"
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute("create schema other_schema")
        connection.execute(f"create table {table} as select 1 as number")  # pyright: ignore
    try:
        make_backup(settings, folder, Quiet(), with_key=True)
        path = folder / "database" / "ytcaption.dump"
        if where == "elsewhere":  # a dump that ytcaption does not make, with a manifest that fits
            dump(admin, path, ["--format=custom"], server_major=18)
            raw = json.loads((folder / MANIFEST).read_text())
            raw["files"]["database/ytcaption.dump"] = {
                "size_bytes": path.stat().st_size,
                "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            }
            (folder / MANIFEST).write_text(json.dumps(raw))
    finally:
        with psycopg.connect(admin, autocommit=True) as connection:
            connection.execute(f"drop table {table}")  # pyright: ignore
            connection.execute("drop schema other_schema")
    with pytest.raises(InputError, match="Nothing was restored"):
        ytcaption("restore", str(folder), "--replace")
    assert list(results(settings)) == [id]
