"""The operator's cookies, of which a download gets those of its own site.

This process reads them, and hands them to the download's process on its standard input. That one
keeps them in memory: no file holds them, and changes that a site makes are not written back.
"""

import io
import re
import stat
from collections.abc import Iterable
from http.cookiejar import Cookie, LoadError, MozillaCookieJar
from pathlib import Path

from resources.sites.domains import domains_of
from ytcaption.domain.errors import SetupError
from ytcaption.domain.media.egress import BrowserProfile
from ytcaption.settings.settings import Settings
from ytcaption.settings.small_file import read_small_file

MAX_BYTES = 1024**2
_HEADER = "# Netscape HTTP Cookie File"
_HTTP_ONLY = "#HttpOnly_"
_EXPIRES = re.compile(r"([0-9]{1,20}(\.[0-9]+)?)?")
_SETTING = "YTCAPTION_COOKIES_FILE"


def check_cookies(settings: Settings) -> None:
    """Check that the cookies that the settings name can be read.

    Raises:
        SetupError: they cannot.
    """
    _cookies(settings)


def cookies_for(settings: Settings, url: str) -> str | None:
    """Return the cookies of the URL's site as a Netscape file; None if there are none.

    Raises:
        SetupError: the settings name cookies that cannot be read.
    """
    domains = domains_of(url)
    lines = [_line(cookie) for cookie in _cookies(settings) if _is_within(cookie, domains)]
    kept = [line for line in lines if line is not None]
    return "\n".join([_HEADER, *kept, ""]) if kept else None


def _cookies(settings: Settings) -> MozillaCookieJar:
    """Return all cookies that the settings name; the browser's replace equal ones of the file."""
    jar = MozillaCookieJar()
    if settings.download.cookies_file is not None:
        _load(jar, _read_file(settings.download.cookies_file))
    if settings.download.cookies_from_browser:
        for cookie in _browser_cookies(settings.download.cookies_from_browser):
            jar.set_cookie(cookie)
    return jar


def _is_within(cookie: Cookie, domains: Iterable[str]) -> bool:
    domain = cookie.domain.lstrip(".").lower()
    return any(domain == each or domain.endswith(f".{each}") for each in domains)


def _read_file(path: Path) -> str:
    try:
        data = read_small_file(path.expanduser(), MAX_BYTES)
        mode = stat.S_IMODE(path.expanduser().stat().st_mode)
    except OSError as error:
        raise SetupError(f"{_SETTING} cannot be read: {error.strerror}.") from None
    if mode & 0o077:
        raise SetupError(f"{_SETTING} may be read by others. Make it yours alone: chmod 600.")
    return data.decode("utf-8", "replace")


def _load(jar: MozillaCookieJar, text: str) -> None:
    """Add the cookies of a Netscape file, whose header may be missing, as in browsers' exports."""
    lines = [_HEADER, *map(_consistent, text.splitlines())]
    try:
        # `load` opens files only, and the cookies are to reach no file.
        jar._really_load(  # pyright: ignore[reportAttributeAccessIssue]
            io.StringIO("\n".join(lines)), _SETTING, ignore_discard=True, ignore_expires=True
        )
    except LoadError:  # its message quotes the line
        raise _not_netscape() from None


def _consistent(line: str) -> str:
    """Return the line so that the cookie jar accepts it.

    A cookie of a host alone has FALSE in its second field and no dot before its domain. The jar
    refuses a whole file where the two disagree, as they do in some exports: such a cookie counts as
    one of the host alone. A cookie that ends at no number is dropped, as yt-dlp does.

    Raises:
        SetupError: it has not seven fields.
    """
    prefix = _HTTP_ONLY if line.startswith(_HTTP_ONLY) else ""
    line = line.removeprefix(prefix)
    if not line.strip() or line.startswith("#"):
        return ""
    fields = line.split("\t")
    if len(fields) != 7:
        raise _not_netscape()
    domain, has_subdomains, path, secure, expires, name, value = fields
    if not (domain.startswith(".") and has_subdomains == "TRUE"):
        domain, has_subdomains = domain.lstrip("."), "FALSE"
    if not _EXPIRES.fullmatch(expires):
        return ""
    return prefix + "\t".join((domain, has_subdomains, path, secure, expires, name, value))


def _browser_cookies(text: str) -> Iterable[Cookie]:
    from yt_dlp.cookies import extract_cookies_from_browser

    browser = BrowserProfile.parse(text)
    try:
        return extract_cookies_from_browser(
            browser.name,
            browser.profile,
            keyring=browser.keyring,  # pyright: ignore[reportArgumentType] - its name
            container=browser.container,
        )
    except Exception:  # its message holds paths of this machine
        raise SetupError(
            f"YTCAPTION_COOKIES_FROM_BROWSER: no cookies of {browser.name} can be read. Name the "
            "profile, and run ytcaption as the user whose browser it is."
        ) from None


def _line(cookie: Cookie) -> str | None:
    """Return the cookie as `MozillaCookieJar.save` writes it, which writes files only.

    None if a field holds a tab or the end of a line: it would read as another cookie.
    """
    name, value = (cookie.name, cookie.value) if cookie.value is not None else ("", cookie.name)
    fields = (
        cookie.domain,
        "TRUE" if cookie.domain.startswith(".") else "FALSE",
        cookie.path,
        "TRUE" if cookie.secure else "FALSE",
        "" if cookie.expires is None else str(cookie.expires),
        name,
        value or "",
    )
    if any(character in field for field in fields for character in "\t\r\n"):
        return None
    prefix = _HTTP_ONLY if cookie.has_nonstandard_attr("HTTPOnly") else ""
    return prefix + "\t".join(fields)


def _not_netscape() -> SetupError:
    return SetupError(
        f"{_SETTING} is no file of cookies in Netscape format, with tabs between the fields. "
        "Export it again."
    )
