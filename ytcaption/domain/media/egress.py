"""The proxies of the operator, and the browser profile that cookies are read from."""

import re
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

BROWSERS = (
    "brave", "chrome", "chromium", "edge", "firefox", "opera", "safari", "vivaldi", "whale",
)  # fmt: skip
_BROWSER = re.compile(
    r"(?P<name>[a-z]+)(\+(?P<keyring>\w+))?(:(?!:)(?P<profile>.+?))?(::(?P<container>.+))?"
)
_PORTS = {"http": 8080, "socks5": 1080, "socks5h": 1080}


@dataclass(frozen=True)
class Upstream:
    """A proxy of the operator.

    Attributes:
        kind: `http` (by CONNECT) or `socks5`.
        password: never shown.
    """

    kind: str
    host: str
    port: int
    user: str | None = None
    password: str | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        """Its name in tables and rows: `http://host:3128`."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.kind}://{host}:{self.port}"

    @classmethod
    def parse_all(cls, text: str) -> "tuple[Upstream, ...]":
        """Parse comma-separated URLs.

        Raises:
            ValueError: one of them is no proxy; the message omits its text, which may hold a
                password.
        """
        parts = [part.strip() for part in text.split(",") if part.strip()]
        proxies = [cls._parse(part, number) for number, part in enumerate(parts, start=1)]
        if len({each.name for each in proxies}) < len(proxies):
            raise ValueError("the same proxy is listed twice")
        return tuple(proxies)

    @classmethod
    def _parse(cls, text: str, number: int) -> "Upstream":
        wrong = ValueError(
            f"proxy {number} cannot be used; write http://user:password@host:3128 or "
            "socks5://host:1080, with %2C, %40 and so on for signs such as , and @ in a password"
        )
        try:
            url = urlsplit(text)
            port = url.port
        except ValueError:
            raise wrong from None
        if url.scheme not in _PORTS or not url.hostname or url.path.strip("/") or url.query:
            raise wrong
        kind = url.scheme.removesuffix("h")
        user = unquote(url.username) if url.username else None
        password = unquote(url.password) if url.password else None
        return cls(kind, url.hostname, port or _PORTS[url.scheme], user, password)


@dataclass(frozen=True)
class BrowserProfile:
    """Where a browser keeps its cookies, in yt-dlp's terms."""

    name: str
    profile: str | None = None
    keyring: str | None = None
    container: str | None = None

    @classmethod
    def parse(cls, text: str) -> "BrowserProfile":
        """Parse `BROWSER[+KEYRING][:PROFILE][::CONTAINER]`.

        Raises:
            ValueError: it is no browser profile.
        """
        match = _BROWSER.fullmatch(text)
        if match is None or match["name"] not in BROWSERS:
            raise ValueError(f"write a browser and a profile: firefox:work ({', '.join(BROWSERS)})")
        keyring = match["keyring"].upper() if match["keyring"] else None
        return cls(match["name"], match["profile"], keyring, match["container"])
