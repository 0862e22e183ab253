"""The operator's cookies for one site: all others stay here.

They are read in our own process, handed to the download's on its standard input and kept by it in
memory alone: no file of it holds them, and what a site changes in them is not written back.
"""

import io
import stat
from pathlib import Path

from resources.sites.domains import domains_of
from ytcaption.domain.errors import SetupError
from ytcaption.domain.media.egress import BrowserProfile
from ytcaption.settings import Settings

MAX_BYTES = 1024**2
_HEADER = "# Netscape HTTP Cookie File\n"
_HTTP_ONLY = "#HttpOnly_"
_FIELDS = 7
_FILE = "YTCAPTION_COOKIES_FILE"


def check_cookies(settings: Settings) -> None:
    """Nothing where the cookies of the settings can be had, or none are set.

    Raises:
        SetupError: they cannot.
    """
    if settings.cookies_file is not None:
        for line in _of_file(settings.cookies_file).splitlines():
            _domain(line)
    if settings.cookies_from_browser:
        _of_browser(settings.cookies_from_browser)


def cookies_for(settings: Settings, url: str) -> str | None:
    """The cookies of the URL's site, as a Netscape file; None: there are none.

    Raises:
        SetupError: the settings name some that cannot be had.
    """
    text = ""
    if settings.cookies_file is not None:
        text += _of_file(settings.cookies_file)
    if settings.cookies_from_browser:
        text += "\n" + _of_browser(settings.cookies_from_browser)
    domains = domains_of(url)
    kept = [
        line
        for line in text.splitlines()
        if (domain := _domain(line)) is not None
        and any(domain == each or domain.endswith(f".{each}") for each in domains)
    ]
    return _HEADER + "".join(f"{line}\n" for line in kept) if kept else None


def _of_file(path: Path) -> str:
    try:
        with path.expanduser().open("rb") as file:
            mode = stat.S_IMODE(path.expanduser().stat().st_mode)
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise SetupError(f"{_FILE} cannot be read: {error.strerror}.") from None
    if mode & 0o077:
        raise SetupError(f"{_FILE} may be read by others. Make it yours alone: chmod 600.")
    if len(data) > MAX_BYTES:
        raise SetupError(f"{_FILE} is larger than a file of cookies.")
    return data.decode("utf-8", "replace")


def _domain(line: str) -> str | None:
    """Of a cookie's line; None for a comment.

    Raises:
        SetupError: it is neither.
    """
    line = line.removeprefix(_HTTP_ONLY)
    if not line.strip() or line.startswith("#"):
        return None
    fields = line.split("\t")
    if len(fields) != _FIELDS:
        raise SetupError(
            f"{_FILE} is no file of cookies in Netscape format, with tabs between the fields. "
            "Export it anew."
        )
    return fields[0].lstrip(".").lower()


def _of_browser(text: str) -> str:
    from yt_dlp.cookies import extract_cookies_from_browser

    wanted = BrowserProfile.parse(text)
    try:
        jar = extract_cookies_from_browser(
            wanted.name,
            wanted.profile,
            keyring=wanted.keyring,  # pyright: ignore[reportArgumentType] - its name
            container=wanted.container,
        )
        written = io.StringIO()
        jar.save(written)  # pyright: ignore[reportArgumentType] - a stream, as yt-dlp's own
    except Exception:  # what it says holds paths of this machine
        raise SetupError(
            f"YTCAPTION_COOKIES_FROM_BROWSER: no cookies of {wanted.name} can be read. Name the "
            "profile, and run ytcaption as the user whose browser it is."
        ) from None
    return written.getvalue()
