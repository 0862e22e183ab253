"""Podcast feeds as RSS and Atom, whose episodes are real speech."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from html import escape

FIRST_DAY = datetime(2024, 1, 1, 6, tzinfo=UTC)
_RSS = """<?xml version="1.0" encoding="UTF-8"?>
<rss version="2.0" xmlns:itunes="http://www.itunes.com/dtds/podcast-1.0.dtd"
 xmlns:atom="http://www.w3.org/2005/Atom">
<channel><title>{title}</title>{links}<itunes:type>episodic</itunes:type>
"""


@dataclass(frozen=True)
class Episode:
    """One item.

    Attributes:
        number: from 0, the oldest; each is published a day after the one before.
        url: of its audio; None: it has none.
        size_bytes: as stated by the feed.
        link: its page.
    """

    number: int
    url: str | None
    title: str = ""
    duration: str = "11"
    size_bytes: int = 196348
    link: str | None = None
    kind: str = "audio/flac"

    @property
    def published_at(self) -> datetime:
        return FIRST_DAY + timedelta(days=self.number)


def rss(title: str, episodes: Sequence[Episode], next_url: str | None = None) -> bytes:
    """Return the feed, its newest episode first; `next_url` links to the next part."""
    links = f'<atom:link rel="next" href="{escape(next_url)}"/>' if next_url else ""
    items = []
    for episode in episodes:
        parts = [
            f"<title>{escape(episode.title or f'Episode {episode.number}')}</title>",
            f'<guid isPermaLink="false">episode-{episode.number}</guid>',
            f"<pubDate>{format_datetime(episode.published_at)}</pubDate>",
            f"<itunes:duration>{episode.duration}</itunes:duration>",
        ]
        if episode.link:
            parts.append(f"<link>{escape(episode.link)}</link>")
        if episode.url:
            parts.append(
                f'<enclosure url="{escape(episode.url)}" length="{episode.size_bytes}"'
                f' type="{episode.kind}"/>'
            )
        items.append(f"<item>{''.join(parts)}</item>")
    text = _RSS.format(title=escape(title), links=links) + "\n".join(items) + "</channel></rss>"
    return text.encode()


def atom(title: str, episodes: Sequence[Episode]) -> bytes:
    """Return the same feed as Atom."""
    entries = "".join(
        f"<entry><id>tag:{episode.number}</id><title>{escape(episode.title or 'Untitled')}</title>"
        f"<published>{episode.published_at.isoformat()}</published>"
        + (f'<link rel="alternate" href="{escape(episode.link)}"/>' if episode.link else "")
        + (
            f'<link rel="enclosure" href="{escape(episode.url)}" type="{episode.kind}"'
            f' length="{episode.size_bytes}"/>'
            if episode.url
            else ""
        )
        + "</entry>"
        for episode in episodes
    )
    return (
        '<?xml version="1.0"?><feed xmlns="http://www.w3.org/2005/Atom">'
        f"<title>{escape(title)}</title>{entries}</feed>"
    ).encode()
