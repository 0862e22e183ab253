"""The feed that a web page names as its own."""

from html.parser import HTMLParser
from urllib.parse import urljoin

_TYPES = ("application/rss+xml", "application/atom+xml")
_LOOKED_AT = 512 * 1024


def feed_link(page: bytes, url: str) -> str | None:
    """Absolute URL of the page's first `<link rel="alternate">` to RSS or Atom; None: none.

    Args:
        url: the page's own.
    """
    finder = _Finder()
    finder.feed(page[:_LOOKED_AT].decode("utf-8", "replace"))
    return urljoin(url, finder.href) if finder.href else None


class _Finder(HTMLParser):
    href: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = dict(attrs)
        relations = (told.get("rel") or "").lower().split()
        is_feed = "alternate" in relations and (told.get("type") or "").lower() in _TYPES
        if tag == "link" and is_feed and self.href is None:
            self.href = told.get("href")
