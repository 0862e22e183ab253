"""The documented settings are the real ones."""

import re

import pytest
from rich.console import Console

from resources.download.egress import check_egress_settings
from tests.support.paths import ROOT
from ytcaption.domain.errors import SetupError
from ytcaption.settings.settings import (
    Settings,
    load_settings,
)
from ytcaption_assets.cli.settings_table import print_settings, settings_markdown

DOCUMENT = ROOT / "docs" / "reference" / "settings.md"


def test_the_documentation_is_current():
    """docs/reference/settings.md is what `ytcaption settings --markdown` prints."""
    assert DOCUMENT.read_text(encoding="utf-8") == settings_markdown()


def test_secrets_are_hidden(capsys):
    """A password in a database URL is never shown."""
    settings = Settings(database_url="postgresql://u:hunter2@db/x")  # pyright: ignore[reportArgumentType]
    print_settings(settings, Console(width=300))
    shown = capsys.readouterr().out
    assert "hunter2" not in shown and "(hidden)" in shown


def test_a_wrong_setting_is_named(monkeypatch):
    """One sentence says which variable is wrong, and what is."""
    monkeypatch.setenv("YTCAPTION_API_PORT", "eighty")
    monkeypatch.setenv("YTCAPTION_ALLOWED_NETWORKS", "10.0.0.0/99")
    monkeypatch.setenv("YTCAPTION_OTLP_ENDPOINT", "localhost:4318")
    with pytest.raises(SetupError) as error:
        load_settings()
    assert "YTCAPTION_API_PORT" in error.value.message
    assert "YTCAPTION_ALLOWED_NETWORKS: '10.0.0.0/99' does not appear" in error.value.message
    assert "YTCAPTION_OTLP_ENDPOINT: write http://host:4318" in error.value.message


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("JOB_TIMEOUT_S", "60", "60 is less than YTCAPTION_TRANSCRIPTION_TIMEOUT_S, which is 3600"),
        ("MAX_RUNTIME_S", "60", "60 is less than YTCAPTION_JOB_TIMEOUT_S, which is 10800"),
        ("TRANSCRIPTION_TIMEOUT_S", "0", "Input should be greater than 0"),
    ],
)
def test_a_limit_is_no_shorter_than_what_it_holds(monkeypatch, name: str, value: str, said: str):
    """One sentence names both."""
    monkeypatch.setenv(f"YTCAPTION_{name}", value)
    with pytest.raises(SetupError) as error:
        load_settings()
    assert f"YTCAPTION_{name}: {said}" in error.value.message


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("COOKIES_FROM_BROWSER", "netscape", "write a browser and a profile: firefox:work"),
        ("PROXIES", "http://a:3128,ftp://me:hunter2@b:21", "proxy 2 cannot be used; write http"),
        ("PROXIES", "https://a:3128", "proxy 1 cannot be used"),
        ("PROXIES", "socks5://a, socks5h://a:1080", "the same proxy is listed twice"),
        ("SOURCE_ADDRESS", "eth0", "'eth0' does not appear to be an IPv4 or IPv6 address"),
        ("USER_AGENT", "a\nb", "write one line of ASCII"),
        (
            "YOUTUBE_CLIENTS",
            "default,Web Safari",
            "'Web Safari' is not a player client; write default,mweb",
        ),
        ("PO_TOKEN_PROVIDER", "../x", "write a package's name: bgutil-ytdlp-pot-provider"),
        ("PO_TOKEN_URL", "https://a/get?x=1", "write http://127.0.0.1:4416"),
        ("BULK_PAUSE_S", "youtube.com=soon", "'soon' is not a number of 0 or more"),
        ("LISTS_PER_MINUTE", "-1", "'-1' is not a number of 0 or more"),
        ("BULK_BYTES_PER_DAY", "5 GB", "'5 GB' is not a number of 0 or more"),
        ("QUIET_HOURS", "8 to 18", "'8 to 18' is not a range of hours; write 23:30-06:00"),
        ("THROTTLE_TIME_ZONE", "Berlin", "there is no time zone 'Berlin'; write Europe/Berlin"),
        ("BULK_PAUSE_JITTER", "1", "Input should be less than 1"),
    ],
)
def test_what_downloads_cannot_go_out_with_is_named(monkeypatch, name, value, said):
    """With what would be right, and without the password that it holds."""
    monkeypatch.setenv(f"YTCAPTION_{name}", value)
    with pytest.raises(SetupError) as error:
        load_settings()
    assert f"YTCAPTION_{name}: {said}" in error.value.message
    assert "hunter2" not in error.value.message


def test_what_is_unknown_here_is_named_at_the_start(monkeypatch):
    """By `up` and the API: players and packages that are not there, foreign addresses, cookies."""
    for name, value, said in (
        ("YOUTUBE_CLIENTS", "default,no_such_player", "does not know: no_such_player. It knows"),
        ("SOURCE_ADDRESS", "203.0.113.7", "203.0.113.7 is no address of this machine"),
        ("PO_TOKEN_PROVIDER", "no-such-provider", "no-such-provider is not installed here"),
        ("COOKIES_FILE", "/nonexistent/cookies.txt", "YTCAPTION_COOKIES_FILE cannot be read"),
        ("QUIET_HOURS", "youtu.be=08:00-09:00", "names youtu.be: write youtube.com"),
    ):
        with monkeypatch.context() as patch:
            patch.setenv(f"YTCAPTION_{name}", value)
            with pytest.raises(SetupError, match=re.escape(said)):
                check_egress_settings(load_settings())
    monkeypatch.setenv("YTCAPTION_YOUTUBE_CLIENTS", "default,-tv,mweb")
    monkeypatch.setenv("YTCAPTION_SOURCE_ADDRESS", "127.0.0.1")
    check_egress_settings(load_settings())


def test_settings_are_read_once_and_again_after_a_change(monkeypatch, tmp_path):
    """The environment, the folder or the home's file may change; otherwise the same object is
    returned."""
    monkeypatch.setenv("YTCAPTION_HOME", str(tmp_path))
    monkeypatch.delenv("YTCAPTION_BEAM_SIZE", raising=False)
    assert load_settings() is load_settings()
    monkeypatch.setenv("YTCAPTION_BEAM_SIZE", "3")
    assert load_settings().speech.beam_size == 3
    monkeypatch.delenv("YTCAPTION_BEAM_SIZE")
    for beam_size in (4, 10):
        (tmp_path / ".env").write_text(f"YTCAPTION_BEAM_SIZE={beam_size}\n")
        assert load_settings().speech.beam_size == beam_size
    (tmp_path / ".env").unlink()
    assert load_settings().speech.beam_size == 5


def test_settings_are_read_in_a_folder_that_was_removed(monkeypatch, tmp_path):
    """They are the same as before the folder was removed."""
    folder = tmp_path / "gone"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()
    monkeypatch.setenv("YTCAPTION_HOME", str(tmp_path))
    assert load_settings().home == tmp_path
