"""`ytcaption admin` on a real database and Dagster's real storage."""

import json

import pytest
from typer.testing import CliRunner

from resources.transcriptions.reads import get_transcription
from resources.transcriptions.run_store import RunStore
from resources.transcriptions.store import RequestStore
from ytcaption.domain.errors import TranscriptionErased
from ytcaption.domain.media.media import MediaInfo, MediaSource, StoredAudio
from ytcaption.domain.request import TranscriptionOptions, TranscriptionStatus
from ytcaption.settings.settings import Settings
from ytcaption_assets.cli.main import app
from ytcaption_assets.cli.up.dagster_home import dagster_instance


@pytest.fixture
def run(settings: Settings, monkeypatch: pytest.MonkeyPatch):
    """Return a function that runs the command with room for its tables."""
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


@pytest.mark.long
def test_the_overview_is_tables_or_json(run, request_store: RequestStore, run_store: RunStore):
    """Both show the same numbers; untrusted text is not read as markup."""
    fail(request_store, "one", "media_private")
    source = MediaSource("youtube-two", "site", "https://youtu.be/two", "Youtube", "[b]Two[/b]")
    id = request_store.submit(source, TranscriptionOptions(model="base")).transcription.id
    run_store.claim(id, "run-two")
    run_store.progress(id, "run-two", "transcription", 3.0, 12.0)
    run("pause", "intake", "--reason", "[i]Moving[/i]")
    text = run("overview")
    for part in (
        "media_private",
        "[b]private[/b]",
        "[b]Two[/b]",
        "25%",
        "[i]Moving[/i]",
        " of audio; ",
    ):
        assert part in text
    document = json.loads(run("overview", "--json"))
    assert document["counts"]["failed"] == document["counts"]["running"] == 1
    assert document["pauses"][0]["part"] == "intake"
    assert document["resting"] == document["throttled_sites"] == []


@pytest.mark.long
def test_failed_transcriptions_are_queued_again(run, request_store: RequestStore):
    """They are chosen by code, channel and time; the output lists their ids."""
    id = fail(request_store, "one", "source_blocked")
    assert "0 transcriptions" in run("retry", "--code", "media_private")
    assert "0 transcriptions" in run("retry", "--created-after", "2999-01-01")
    output = run("retry", "--code", "source_blocked", "--channel", "JFK")
    assert "1 transcriptions queued again" in output
    assert id in output
    assert get_transcription(request_store.postgres, id).status is TranscriptionStatus.QUEUED


@pytest.mark.long
def test_a_pause_reaches_dagsters_pools(run, settings: Settings):
    """The pool has no slots while its part is paused."""

    def limit() -> int | None:
        with dagster_instance(settings) as instance:
            limits = {
                each.name: each.limit for each in instance.event_log_storage.get_pool_limits()
            }
        return limits["download"]

    assert "download is paused" in run("pause", "download")
    assert limit() == 0
    assert "download is resumed" in run("resume", "download")
    assert limit() == settings.runs.download_slots
    assert "was not paused" in run("resume", "download")


def test_a_pause_is_stored_without_dagsters_database(run, settings: Settings, monkeypatch):
    """One sentence says when Dagster follows."""
    monkeypatch.setenv("YTCAPTION_DAGSTER_DATABASE_URL", "postgresql://u:secret@127.0.0.1:9/d")
    monkeypatch.setattr("resources.postgres.migrate.migrate", lambda settings: None)
    output = run("pause", "transcription")
    assert "transcription is paused" in output
    assert "follow once it answers" in output
    assert "secret" not in output


def test_an_unknown_part_is_wrong_usage(run):
    """The exit status is 2."""
    run("pause", "everything", status=2)


@pytest.mark.long
def test_a_purge_is_a_dry_run_by_default(run, request_store: RequestStore):
    """Without --erase it only lists the ids."""
    id = fail(request_store, "one", "media_private")
    output = run("purge", "--status", "failed")
    assert "1 transcriptions would be erased" in output
    assert id in output
    assert get_transcription(request_store.postgres, id).status is TranscriptionStatus.FAILED
    assert "1 erased" in run("purge", "--status", "failed", "--erase")
    with pytest.raises(TranscriptionErased):
        get_transcription(request_store.postgres, id)


@pytest.mark.long
def test_a_sites_downloads_are_stopped_and_allowed_again(run, request_store: RequestStore):
    """Any name of the site will do; the list and the overview show the reason as plain text."""
    assert "No site is failing." in run("breaker", "list")
    output = run("breaker", "open", "youtu.be", "--reason", "[b]Asked to.[/b]")
    assert "Downloads from youtube.com are stopped." in output
    source = MediaSource("youtube-two", "site", "https://youtu.be/two", "Youtube", "Two")
    request_store.submit(source, TranscriptionOptions(model="base"))
    assert request_store.due(1) == []
    for output in (run("breaker", "list"), run("overview")):
        assert "youtube.com" in output
        assert "[b]Asked to.[/b]" in output
    assert "Downloads from youtube.com continue." in run("breaker", "close", "youtube.com")
    assert "youtube.com was not open." in run("breaker", "close", "youtube.com")
    assert len(request_store.due(1)) == 1
