"""The operator's cookies: which of them go to a download, and what is refused."""

import io
import os
import sqlite3
from http.cookiejar import Cookie
from pathlib import Path

import pytest
from yt_dlp.cookies import YoutubeDLCookieJar

from resources.download.cookies import check_cookies, cookies_for
from ytcaption.domain.errors import SetupError
from ytcaption.settings.settings import Settings

VIDEO = "https://www.youtube.com/watch?v=dQw4w9WgXcQ"
LINE = "{}\tTRUE\t/\tTRUE\t4102444800\tSID\t{}"
FILE = "\n".join(
    [
        "# Netscape HTTP Cookie File",
        "# a comment",
        "",
        LINE.format(".youtube.com", "of-youtube"),
        "#HttpOnly_" + LINE.format("www.youtube.com", "http-only"),
        LINE.format(".google.com", "of-google"),
        LINE.format("notyoutube.com", "of-another"),
        LINE.format(".bank.example", "of-the-bank"),
    ]
)


def settings(**more: object) -> Settings:
    return Settings(_env_file=None, **more)  # pyright: ignore


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "cookies.txt"
    path.write_text(FILE)
    path.chmod(0o600)
    return path


def test_a_download_gets_the_cookies_of_its_own_site(file: Path):
    """It gets those of all its domains, and none of another domain with the same ending."""
    text = cookies_for(settings(cookies_file=file), VIDEO)
    assert text is not None and text.startswith("# Netscape HTTP Cookie File\n")
    assert [line.rpartition("\t")[2] for line in text.splitlines()[1:]] == [
        "of-youtube",
        "http-only",
    ]
    assert cookies_for(settings(cookies_file=file), "https://youtu.be/dQw4w9WgXcQ") == text
    assert cookies_for(settings(cookies_file=file), "https://example.org/a.mp3") is None
    assert cookies_for(settings(), VIDEO) is None
    bank = cookies_for(settings(cookies_file=file), "https://www.bank.example/a.mp3")
    assert bank is not None and "of-the-bank" in bank and "of-youtube" not in bank


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_file_that_others_may_read_is_refused(file: Path, mode: int):
    """The message does not state its path."""
    file.chmod(mode)
    with pytest.raises(SetupError, match=r"may be read by others.*chmod 600") as caught:
        cookies_for(settings(cookies_file=file), VIDEO)
    assert str(file) not in caught.value.message


def test_an_unusable_file_is_refused(file: Path):
    """It is missing, of another format, or much too large."""
    known = settings(cookies_file=file)
    check_cookies(known)
    for content in (FILE.replace("\t", " "), '{"cookies": []}'):
        file.write_text(content)
        with pytest.raises(SetupError, match="Netscape format"):
            check_cookies(known)
    file.write_bytes(b"#" * (1024**2 + 1))
    with pytest.raises(SetupError, match="larger"):
        check_cookies(known)
    file.unlink()
    with pytest.raises(SetupError, match="cannot be read: No such file"):
        check_cookies(known)
    for make in (lambda: os.mkfifo(file, 0o600), lambda: file.symlink_to("/dev/zero")):
        make()
        with pytest.raises(SetupError, match="cannot be read: it is no regular file"):
            check_cookies(known)
        file.unlink()


def test_an_extensions_export_is_read(file: Path):
    """Without a header, with CRLF, fractions and sessions; contradictory and useless lines do not
    spoil the others, and no cookie reaches more hosts than it says."""
    file.write_text(
        "\r\n".join(
            [
                "#HttpOnly_.youtube.com\tTRUE\t/\tTRUE\t1893456000.123\tfraction\ta",
                ".youtube.com\tTRUE\t/\tFALSE\t\tsession\tb",
                ".youtube.com\tTRUE\t/\tFALSE\t0\tzero\tc",
                "www.youtube.com\tTRUE\t/\tTRUE\t4102444800\thost\td",
                ".m.youtube.com\tFALSE\t/\tTRUE\t4102444800\tdotted\te",
                ".youtube.com\tTRUE\t/\tTRUE\t-1\tnever\tf",
                ".YouTube.com\tTRUE\t/\tTRUE\t4102444800\t\tnameless",
            ]
        )
    )
    known = settings(cookies_file=file)
    check_cookies(known)
    text = cookies_for(known, VIDEO)
    assert text is not None
    jar = YoutubeDLCookieJar(io.StringIO(text))
    jar.load()
    assert {(each.domain, each.name, each.value, each.expires) for each in jar} == {
        (".youtube.com", "fraction", "a", 1893456000),
        (".youtube.com", "session", "b", None),
        (".youtube.com", "zero", "c", None),
        ("www.youtube.com", "host", "d", 4102444800),
        ("m.youtube.com", "dotted", "e", 4102444800),
        (".youtube.com", "nameless", None, 4102444800),
    }
    assert text.count("#HttpOnly_") == 1


def test_a_value_cannot_be_read_as_another_cookie(monkeypatch: pytest.MonkeyPatch):
    """A browser's cookie with the end of a line in it is left out."""
    jar = YoutubeDLCookieJar()
    forged = "x\n" + LINE.format(".bank.example", "forged")
    for name, value in (("good", "1"), ("line", forged), ("tab", "a\tb")):
        fields = (False, ".youtube.com", True, True, "/", False, True, None, True, None, None, {})
        jar.set_cookie(Cookie(0, name, value, None, *fields))
    monkeypatch.setattr("yt_dlp.cookies.extract_cookies_from_browser", lambda *_, **__: jar)
    text = cookies_for(settings(cookies_from_browser="firefox"), VIDEO)
    assert text is not None
    assert [line.split("\t")[5] for line in text.splitlines()[1:]] == ["good"]


def test_a_browsers_profile_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A Firefox profile, as Firefox keeps it; no temporary file is left."""
    profile = tmp_path / "profile"
    profile.mkdir()
    with sqlite3.connect(profile / "cookies.sqlite") as database:
        database.execute("pragma user_version = 17")
        database.execute(
            "create table moz_cookies (host text, name text, value text, path text, "
            "expiry integer, isSecure integer, originAttributes text)"
        )
        database.executemany(
            "insert into moz_cookies values (?, 'SID', ?, '/', 4102444800000, 1, '')",
            [(".youtube.com", "of-youtube"), (".bank.example", "of-the-bank")],
        )
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    known = settings(cookies_from_browser=f"firefox:{profile}")
    check_cookies(known)
    text = cookies_for(known, VIDEO)
    assert text is not None and "of-youtube" in text and "of-the-bank" not in text
    assert not list(temporary.iterdir())


def test_a_missing_browser_profile_is_an_error(tmp_path: Path):
    """The message does not state its path."""
    known = settings(cookies_from_browser=f"firefox:{tmp_path}/none")
    with pytest.raises(SetupError, match="no cookies of firefox can be read") as caught:
        check_cookies(known)
    assert str(tmp_path) not in caught.value.message
