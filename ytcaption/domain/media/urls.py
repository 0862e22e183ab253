"""Bring a submitted URL into its canonical spelling, or say why it is none."""

import re
import socket
import unicodedata
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import parse_qsl, quote, urljoin, urlsplit

import idna

from ytcaption.domain.errors import InvalidUrl

MAX_URL_LENGTH = 2_048

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_KEYWORD = re.compile(r"yt.*|.*search(all|date)?[0-9]*")
_HOST_NAME = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*")
# The last label of an IPv4 address in any spelling that inet_aton takes.
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_DEFAULT_PORTS = {"http": 80, "https": 443}
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_LONE_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
# Parameters that say who shared the link and change nothing of the media.
_TRACKING = re.compile(
    r"utm_.+|fbclid|gclid|dclid|msclkid|mc_[ce]id|igshid|igsh|si|ref_src|ref_url"
)


@dataclass(frozen=True)
class WebUrl:
    """An http(s) URL: scheme and host in lower case, no default port, no dot segments, no fragment.

    Attributes:
        host: ASCII (IDNA 2008) name, or an address, an IPv6 one without brackets.
        port: None where it is the scheme's default.
        path: begins with a slash.
        query: without the question mark.
    """

    scheme: str
    host: str
    port: int | None
    path: str
    query: str

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port is None else f":{self.port}"
        query = f"?{self.query}" if self.query else ""
        return f"{self.scheme}://{host}{port}{self.path}{query}"

    @property
    def effective_port(self) -> int:
        """The port, or the scheme's default."""
        return self.port or _DEFAULT_PORTS[self.scheme]

    @property
    def address(self) -> IPv4Address | IPv6Address | None:
        """The host as an address, if it is one; `localhost` is 127.0.0.1 (RFC 6761)."""
        if self.host == "localhost" or self.host.endswith(".localhost"):
            return ip_address("127.0.0.1")
        try:
            return ip_address(self.host)
        except ValueError:
            return None

    def is_within(self, domain: str) -> bool:
        """Return whether the host is the domain or below it."""
        return self.host == domain or self.host.endswith(f".{domain}")

    def parameters(self) -> dict[str, str]:
        """Return the query's parameters, the first of each name."""
        return dict(reversed(parse_qsl(self.query, keep_blank_values=True)))

    def without_tracking(self) -> "WebUrl":
        """Return the URL without parameters such as `utm_source` that state how it was shared."""
        fields = self.query.split("&")
        kept = [part for part in fields if not _TRACKING.fullmatch(part.partition("=")[0])]
        return replace(self, query="&".join(kept))


def parse_url(text: str) -> WebUrl:
    """Return the canonical URL of what a person submitted.

    Raises:
        InvalidUrl: with what is wrong and what would be right.
    """
    text = text.strip()
    if not text:
        raise InvalidUrl("The link is empty. Give an http or https URL.")
    if len(text) > MAX_URL_LENGTH:
        raise InvalidUrl(f"The link is longer than {MAX_URL_LENGTH:,} characters.")
    if any(unicodedata.category(character)[0] in "CZ" for character in text) or "\\" in text:
        raise InvalidUrl(
            "The link contains a space, a backslash or an invisible character. "
            "Give one http or https URL."
        )
    scheme = _SCHEME.match(text)
    if scheme is None or scheme[1].lower() not in _DEFAULT_PORTS:
        raise InvalidUrl(_no_url(text, scheme[1].lower() if scheme else ""))
    if not text.startswith("//", scheme.end()):
        raise InvalidUrl(f"The link is malformed: {scheme[0]} is followed by two slashes.")
    try:
        split = urlsplit(text)
        port = split.port
    except ValueError:
        raise InvalidUrl("The link is malformed: its host or port cannot be read.") from None
    if "@" in split.netloc:
        raise InvalidUrl("The link contains a user name or password. Give it without.")
    if not split.hostname or port == 0:
        raise InvalidUrl("The link names no host. Give a URL such as https://example.com/talk.mp3.")
    name = split.scheme.lower()
    url = WebUrl(
        scheme=name,
        host=_canonical_host(split.hostname),
        port=None if port == _DEFAULT_PORTS[name] else port,
        path=_without_dots(_canonical_escapes(split.path, safe="/:@!$&'()*+,;=")),
        query=_canonical_escapes(split.query, safe="/:@!$&'()*+,;=?"),
    )
    if len(str(url)) > MAX_URL_LENGTH:
        raise InvalidUrl(f"The link, escaped, is longer than {MAX_URL_LENGTH:,} characters.")
    return url


def joined_url(base: str, link: str) -> str | None:
    """Return the absolute URL of a link on the page `base`; None: its host cannot be read."""
    try:
        return urljoin(base, link)
    except ValueError:  # brackets without an address, letters that hide a slash
        return None


def _no_url(text: str, scheme: str) -> str:
    if text.startswith(":") or _KEYWORD.fullmatch(scheme):
        return "Searches and yt-dlp's keywords are not links. Give the URL of one video."
    if scheme and "." not in scheme:
        return f"Links of the kind {scheme[:20]}: are not opened. Give an http or https URL."
    full = (
        f"https://{text[:60]}" if "." in text.partition("/")[0] else "https://example.com/talk.mp3"
    )
    return f"This is not an http or https URL. Give it in full, such as {full}"


def _canonical_host(host: str) -> str:
    if ":" in host:
        try:
            address = IPv6Address(host)
        except ValueError:
            raise InvalidUrl("The link's IPv6 address is malformed.") from None
        if address.scope_id is not None:
            raise InvalidUrl("The link's IPv6 address has a zone. Give it without.")
        return str(address)
    host = host.removesuffix(".")
    try:
        if not host.isascii():
            host = idna.encode(host, uts46=True).decode()
    except idna.IDNAError:
        raise InvalidUrl("The link's host is not a valid name.") from None
    host = host.lower()
    if _NUMBER.fullmatch(host.rpartition(".")[2]):
        try:
            return socket.inet_ntoa(socket.inet_aton(host))
        except OSError:
            raise InvalidUrl("The link's host is a malformed IPv4 address.") from None
    if len(host) > 253 or not _HOST_NAME.fullmatch(host):
        raise InvalidUrl("The link's host is not a valid name.")
    return host


def _canonical_escapes(text: str, safe: str) -> str:
    """Return upper-case escapes, none where none is needed, and all that are needed."""

    def decoded(match: re.Match[str]) -> str:
        character = chr(int(match[1], 16))
        return character if character in _UNRESERVED else match[0].upper()

    return quote(_ESCAPE.sub(decoded, _LONE_PERCENT.sub("%25", text)), safe=safe + "%")


def _without_dots(path: str) -> str:
    """Remove dot segments (RFC 3986 5.2.4)."""
    kept: list[str] = []
    segments = path.split("/")[1:] or [""]
    for segment in segments:
        if segment == "..":
            del kept[-1:]
        elif segment != ".":
            kept.append(segment)
    if segments[-1] in (".", ".."):
        kept.append("")
    return "/" + "/".join(kept)
