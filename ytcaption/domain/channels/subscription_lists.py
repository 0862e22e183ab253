"""Read lists of channels that other programs have written: OPML, plain lists, CSV, JSON.

| from | file |
| --- | --- |
| podcast apps, feed readers, FreeTube, Invidious | OPML |
| YouTube (Takeout) | `subscriptions.csv` |
| NewPipe, LibreTube, Piped | `subscriptions.json` |
| FreeTube | `profiles.db`, a JSON object per line |
| Tube Archivist | `/api/channel/`, `/api/playlist/`; `es_channel-*.json` of a backup |
| people | one link per line |
"""

import codecs
import csv
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Any

from ytcaption.domain.errors import InvalidOption

LARGEST_FILE_BYTES = 16 << 20
SETTINGS_ATTRIBUTE = "ytcaption:settings"
"""Attribute of our own outlines: the channel's settings, as JSON."""

_XML_ENCODING = re.compile(rb"""<\?xml[^>]*?encoding\s*=\s*["']([A-Za-z0-9._-]+)["']""")
_CHANNEL_ID = re.compile(r"UC[A-Za-z0-9_-]{22}")
_PLAYLIST_ID = re.compile(r"(PL|UU|FL|OL|RD)[A-Za-z0-9_-]{10,48}")
_HANDLE = re.compile(r"@[^\s/@,]{2,60}")
_COMMENT = re.compile(r"(^|\s)#.*")


@dataclass(frozen=True)
class ListedChannel:
    """One entry of a list.

    Attributes:
        line: from 1; for JSON, its position among the channels.
        url: as written; not checked.
        title: untrusted text.
        settings: as `subscription_export` writes them; None where the list has none.
    """

    line: int
    url: str
    title: str | None = None
    settings: dict[str, Any] | None = None


def read_channels(data: bytes) -> list[ListedChannel]:
    """Return all channels of a list in its order, whatever its format.

    Args:
        data: the whole file.

    Raises:
        InvalidOption: it is too large, or no text.
    """
    text = _decoded(data)
    start = text.lstrip()[:1]
    if start == "<":
        return _from_opml(text)
    if start in ("{", "["):
        return _from_json(text)
    lines = text.splitlines()
    if lines and "," in lines[0] and "url" in lines[0].lower() and "://" not in lines[0]:
        return list(_from_csv(lines))
    return list(_from_lines(lines))


def _decoded(data: bytes) -> str:
    if len(data) > LARGEST_FILE_BYTES:
        raise InvalidOption(f"The list has more than {LARGEST_FILE_BYTES >> 20} MiB. Split it.")
    encoding = "utf-8-sig"
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"
    elif declared := _XML_ENCODING.match(data.lstrip()[:200]):
        encoding = declared[1].decode()
    try:
        text = data.decode(encoding, "replace")
    except LookupError:
        text = data.decode("utf-8-sig", "replace")
    if "\x00" in text:
        raise InvalidOption("This file is not text. Give OPML, CSV, JSON, or one link per line.")
    return text


def _from_opml(text: str) -> list[ListedChannel]:
    reader = _Outlines()
    reader.feed(text)
    reader.close()
    return reader.channels


class _Outlines(HTMLParser):
    """Collects every outline with an address, at any depth.

    The file is parsed as HTML: entities that a document declares are never expanded, nothing is
    fetched, and one broken outline affects no other.
    """

    def __init__(self) -> None:
        super().__init__()
        self.channels: list[ListedChannel] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Handle an outline, open or closed; attribute names are in lower case."""
        values = {name: (value or "").strip() for name, value in attrs}
        if tag != "outline" or values.get("type") == "podcast-episode":  # Overcast lists them, too
            return
        url = values.get("xmlurl") or values.get("htmlurl") or values.get("url")
        if not url:
            return  # a folder
        settings = _settings(values.get(SETTINGS_ATTRIBUTE))
        if settings is not None and values.get("htmlurl"):
            url = values["htmlurl"]  # ours: what was subscribed to, while xmlUrl is its feed
        title = values.get("title") or values.get("text") or None
        self.channels.append(ListedChannel(self.getpos()[0], url, title, settings))


def _settings(text: str | None) -> dict[str, Any] | None:
    try:
        read = json.loads(text) if text else None
    except (ValueError, RecursionError):
        return None
    return read if isinstance(read, dict) else None


def _from_csv(lines: Iterable[str]) -> Iterator[ListedChannel]:
    """Read line by line, so that a missing quotation mark costs one line and not the rest."""
    for number, line in enumerate(lines, 1):
        row = next(csv.reader([line]), []) if number > 1 else []
        positions = [position for position, cell in enumerate(row) if "://" in cell]
        if positions:
            title = "".join(row[positions[0] + 1 : positions[0] + 2]).removeprefix("'")
            yield ListedChannel(number, row[positions[0]].strip(), title or None)
        elif any(cell.strip() for cell in row):
            yield ListedChannel(number, line.strip())


def _from_lines(lines: Iterable[str]) -> Iterator[ListedChannel]:
    for number, line in enumerate(lines, 1):
        if text := _COMMENT.sub("", line).strip().strip("\"',;"):
            yield ListedChannel(number, spelled_out(text))


def spelled_out(name: str) -> str:
    """Return a link for a YouTube handle, channel id or playlist id; anything else unchanged."""
    if _HANDLE.fullmatch(name):
        return f"https://www.youtube.com/{name}"
    if _CHANNEL_ID.fullmatch(name):
        return f"https://www.youtube.com/channel/{name}"
    if _PLAYLIST_ID.fullmatch(name):
        return f"https://www.youtube.com/playlist?list={name}"
    return name


def _from_json(text: str) -> list[ListedChannel]:
    pairs = [pair for document in _documents(text) for pair in _named(document)]
    return [ListedChannel(position, url, title) for position, (url, title) in enumerate(pairs, 1)]


def _documents(text: str) -> Iterator[Any]:
    """Yield the whole text as one value, or else each line as one."""
    try:
        yield json.loads(text)
        return
    except (ValueError, RecursionError):
        pass
    for line in text.splitlines():
        if not line.strip():
            continue
        try:
            yield json.loads(line)
        except (ValueError, RecursionError):
            yield {"subscriptions": [{"url": line.strip()[:200]}]}  # refused later, with its words


def _named(document: Any) -> Iterator[tuple[str, str | None]]:
    """Yield addresses and names of subscriptions."""
    for item in document if isinstance(document, list) else [document]:
        inner = item.get("data") if isinstance(item, dict) else None
        for each in [item, *(inner if isinstance(inner, list) else [])]:
            if isinstance(each, dict):
                yield from _named_by(each)


def _named_by(value: dict[str, Any]) -> Iterator[tuple[str, str | None]]:
    for kind in ("channel", "playlist"):  # Tube Archivist keeps those that nobody subscribes to
        if value.get(f"{kind}_subscribed") is True and value.get(f"{kind}_id"):
            yield spelled_out(str(value[f"{kind}_id"])), _text(value.get(f"{kind}_name"))
    subscriptions = value.get("subscriptions")
    for item in subscriptions if isinstance(subscriptions, list) else []:
        if isinstance(item, dict) and (name := item.get("url") or item.get("id")):
            yield spelled_out(str(name)), _text(item.get("name"))


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
