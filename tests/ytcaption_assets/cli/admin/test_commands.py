"""`ytcaption admin`, on a real database and Dagster's real storage."""

import json

import pytest
from typer.testing import CliRunner

from resources.transcriptions.reads import get_transcription
from resources.transcriptions.run_store import RunStore
from resources.transcriptions.store import RequestStore
from ytcaption.domain.errors import TranscriptionErased
from ytcaption.domain.media.media import MediaInfo, MediaSource, StoredAudio
from ytcaption.domain.request import TranscriptionOptions, TranscriptionStatus
from ytcaption.settings import Settings
from ytcaption_assets.cli.main import app
from ytcaption_assets.cli.up.dagster_home import dagster_instance


@pytest.fixture
def run(settings: Settings, monkeypatch: pytest.MonkeyPatch):
    """The command, wide enough for its tables."""
    monkeypatch.setenv("COLUMNS", "200")

    def command(*arguments: str, status: int = 0) -> str:
        result = CliRunner().invoke(app, ["admin", *arguments])
        assert result.exit_code == status, result.output
        return result.output

    return command


def fail(store: RequestStore, name: str, code: str) -> str:
    source = MediaSource(f"youtube-{name}", "site", f"https://youtu.be/{name}", "Youtube", name)
    id = store.submit(source, TranscriptionOptions(model="base")).transcription.id
    RunStore(postgres=store.postgres).claim(id, f"run-{name}")
    audio = StoredAudio("audio/a.webm", "0" * 64, 1_000, 11.0, "opus", "webm", 48_000, 2)
    RunStore(postgres=store.postgres).audio_stored(
        id, f"run-{name}", MediaInfo(title=name, channel="JFK"), audio
    )
    RunStore(postgres=store.postgres).fail(
        id, f"run-{name}", code, "It is [b]private[/b].", False, 4
    )
    return id


def test_the_overview_is_tables_or_json(run, request_store: RequestStore, run_store: RunStore):
    """The same numbers either way; a stranger's text is no markup."""
    fail(request_store, "one", "media_private")
    source = MediaSource("youtube-two", "site", "https://youtu.be/two", "Youtube", "[b]Two[/b]")
    id = request_store.submit(source, TranscriptionOptions(model="base")).transcription.id
    run_store.claim(id, "run-two")
    run_store.progress(id, "run-two", "transcription", 3.0, 12.0)
    run("pause", "intake", "--reason", "[i]Moving[/i]")
    text = run("overview")
    for shown in ("media_private", "[b]private[/b]", "[b]Two[/b]", "25%", "[i]Moving[/i]", "GB"):
        assert shown in text
    document = json.loads(run("overview", "--json"))
    assert document["counts"]["failed"] == document["counts"]["running"] == 1
    assert document["pauses"][0]["part"] == "intake"


def test_what_failed_is_queued_again(run, request_store: RequestStore):
    """By code, channel and time; the answer names it."""
    id = fail(request_store, "one", "source_blocked")
    assert "0 transcriptions" in run("retry", "--code", "media_private")
    assert "0 transcriptions" in run("retry", "--created-after", "2999-01-01")
    said = run("retry", "--code", "source_blocked", "--channel", "JFK")
    assert "1 transcriptions queued again" in said
    assert id in said
    assert get_transcription(request_store.postgres, id).status is TranscriptionStatus.QUEUED


def test_a_pause_reaches_dagsters_pools(run, settings: Settings):
    """And is kept by the next `up`, which asks the rows."""

    def limit() -> int | None:
        with dagster_instance(settings) as instance:
            limits = {
                each.name: each.limit for each in instance.event_log_storage.get_pool_limits()
            }
        return limits["download"]

    assert "download is paused" in run("pause", "download")
    assert limit() == 0
    assert "download goes on" in run("resume", "download")
    assert limit() == settings.download_slots
    assert "was not paused" in run("resume", "download")


def test_without_dagsters_database_the_row_stands(run, settings: Settings, monkeypatch):
    """One sentence says who sees to it."""
    monkeypatch.setenv("YTCAPTION_DAGSTER_DATABASE_URL", "postgresql://u:secret@127.0.0.1:9/d")
    monkeypatch.setattr("resources.postgres.migrate.migrate", lambda settings: None)
    said = run("pause", "transcription")
    assert "transcription is paused" in said
    assert "follow once it does" in said
    assert "secret" not in said


def test_a_part_that_is_none_is_wrong_usage(run):
    """Exit status 2."""
    run("pause", "everything", status=2)


def test_a_purge_is_a_dry_run_unless_told(run, request_store: RequestStore):
    """The first tells, the second does it; without any limit it is refused."""
    id = fail(request_store, "one", "media_private")
    said = run("purge", "--status", "failed")
    assert "1 transcriptions would be erased" in said
    assert id in said
    assert get_transcription(request_store.postgres, id).status is TranscriptionStatus.FAILED
    assert "1 erased" in run("purge", "--status", "failed", "--erase")
    with pytest.raises(TranscriptionErased):
        get_transcription(request_store.postgres, id)


def test_a_site_is_closed_off_and_let_go(run, request_store: RequestStore):
    """By any of its names; the list and the overview show it, a reason is no markup."""
    assert "No site fails." in run("breaker", "list")
    said = run("breaker", "open", "youtu.be", "--reason", "[b]Asked to.[/b]")
    assert "No download starts from youtube.com." in said
    source = MediaSource("youtube-two", "site", "https://youtu.be/two", "Youtube", "Two")
    request_store.submit(source, TranscriptionOptions(model="base"))
    assert request_store.due(1) == []
    for shown in (run("breaker", "list"), run("overview")):
        assert "youtube.com" in shown
        assert "[b]Asked to.[/b]" in shown
    assert "Downloads from youtube.com go on." in run("breaker", "close", "youtube.com")
    assert "youtube.com was not open." in run("breaker", "close", "youtube.com")
    assert len(request_store.due(1)) == 1
