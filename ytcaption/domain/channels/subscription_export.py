"""Write subscriptions as files that other programs, and `subscription_lists`, can read."""

import csv
import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from unicodedata import category
from xml.etree import ElementTree  # nosec B405

from ytcaption.domain.channels.subscription_lists import SETTINGS_ATTRIBUTE
from ytcaption.domain.csv_safety import safe_cell

COLUMNS = (
    "url", "title", "id", "feed_url", "state", "added_at", "listed_at", "error", "settings",
)  # fmt: skip

_NO_TEXT = frozenset(("Cc", "Cs", "Cn", "Zl", "Zp"))  # control characters, surrogates, line ends


@dataclass(frozen=True)
class Subscription:
    """A channel as a file describes it.

    Attributes:
        settings: the fields of a request for it beside its URL, set values only.
        numbers: of its items, by name.
    """

    id: str
    url: str
    added_at: datetime
    title: str | None = None
    feed_url: str | None = None
    state: str = ""
    listed_at: datetime | None = None
    error: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    numbers: Mapping[str, int] = field(default_factory=dict)


def to_opml(channels: Iterable[Subscription], exported_at: datetime) -> str:
    """Return OPML 2.0.

    `xmlUrl` is the feed where there is one, which podcast apps read; `htmlUrl` the subscribed URL,
    and `ytcaption:settings` the settings, which we read.
    """
    root = ElementTree.Element("opml", {"version": "2.0", "xmlns:ytcaption": "urn:ytcaption:opml"})
    head = ElementTree.SubElement(root, "head")
    ElementTree.SubElement(head, "title").text = "ytcaption channels"
    # RFC 822, as OPML 2.0 has it.
    ElementTree.SubElement(head, "dateCreated").text = f"{exported_at:%a, %d %b %Y %H:%M:%S GMT}"
    body = ElementTree.SubElement(root, "body")
    for channel in channels:
        name = _line(channel.title or channel.url)
        ElementTree.SubElement(
            body,
            "outline",
            {
                "type": "rss",
                "text": name,
                "title": name,
                "xmlUrl": _line(channel.feed_url or channel.url),
                "htmlUrl": _line(channel.url),
                SETTINGS_ATTRIBUTE: _json(channel.settings),
            },
        )
    ElementTree.indent(root)
    text = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'


def to_csv(channels: Iterable[Subscription]) -> str:
    """Return one channel per line, with the numbers of its items."""
    rows = list(channels)
    names = sorted({name for channel in rows for name in channel.numbers})
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow([*COLUMNS, *names])
    for channel in rows:
        values = vars(channel) | {"settings": _json(channel.settings)}
        writer.writerow(
            [*(_cell(values[name]) for name in COLUMNS), *(channel.numbers.get(n) for n in names)]
        )
    return written.getvalue()


def _cell(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    return safe_cell(_line(value or ""))


def _json(settings: Mapping[str, Any]) -> str:
    return json.dumps(dict(settings), sort_keys=True)


def _line(text: str) -> str:
    """Return the text on one line, without characters that XML 1.0 cannot hold."""
    return "".join(" " if category(char) in _NO_TEXT else char for char in text)
