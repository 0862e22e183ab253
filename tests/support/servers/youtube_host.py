"""YouTube for the real extractor: channels, playlists and videos in the shapes that it serves.

What differs from item to item is filled into `tests/data/youtube`. A channel has the tabs videos,
streams and shorts; each page tells where the next one is, as YouTube's do:

    def test_it(youtube):
        youtube.lists.videos = videos(10_000)
"""

import json
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from string import Template
from typing import Any

import pytest

from tests.support.paths import DATA
from tests.support.servers.media_server import (
    MediaHandler,
    MediaServer,
)
from tests.support.servers.site_tls import (
    certificate_of,
    lead_to_loopback,
    tls_of,
)
from tests.support.servers.youtube_video import (
    Captions,
    player,
    timed_text,
    watch_page,
)

HOSTS = ("youtube.com", "googlevideo.com")
SPEECH = "jfk.flac"
CHANNEL, NAME, PLAYLIST = "UCabcdefghijklmnopqrstuv", "A channel", "PL0123456789abcdef"
_DATA = DATA / "youtube"
_SHAPES = {
    name: Template((_DATA / name).read_text())
    for name in ("lockup.json", "short.json", "playlist_video.json", "feed_entry.xml")
}


@dataclass(frozen=True)
class Video:
    """One item of a list; `badge` is what its picture says: a duration, or that it is live."""

    id: str
    title: str
    badge: str = "10:01"
    when: str = "2 years ago"
    style: str = "THUMBNAIL_OVERLAY_BADGE_STYLE_DEFAULT"

    def as_item(self, shape: str) -> Any:
        values = {"id": self.id, "title": self.title, "badge": self.badge, "when": self.when}
        return json.loads(_SHAPES[shape].substitute(values, badge_style=self.style))


def videos(count: int, prefix: str = "v") -> list[Video]:
    """Return this number of ordinary videos, the newest first."""
    return [Video(f"{prefix}{n:010d}", f"Video {n}") for n in reversed(range(count))]


@dataclass
class Lists:
    """What the channel and its playlist hold; change them between two looks.

    Attributes:
        feed: None: there is none.
        page_size: as YouTube's tabs have. yt-dlp looks through a whole page again for each item.
    """

    videos: list[Video] = field(default_factory=lambda: videos(3))
    streams: list[Video] = field(default_factory=list)
    shorts: list[Video] = field(default_factory=list)
    playlist: list[Video] = field(default_factory=list)
    feed: list[Video] | None = None
    page_size: int = 30


class YouTubeHost(MediaServer):
    """www.youtube.com; a context manager.

    Attributes:
        continuations: pages that were requested after the first ones.
        fail: status by the number of such a page, from 1; 200: a page with nothing in it.
        captions: of a video, by its id; all have the same speech.
    """

    def __init__(self, tls: ssl.SSLContext, host: str = "127.0.0.1") -> None:
        super().__init__(host=host, tls=tls)
        self.lists = Lists()
        self.fail: dict[int, int] = {}
        self.continuations = 0
        self.captions: dict[str, Captions] = {}


class YouTubeHandler(MediaHandler):
    """Answers for one connection."""

    def answer(self, path: list[str], query: dict[str, str]) -> None:
        lists = self.host.lists
        match path:
            case ["feeds", "videos.xml"]:
                if lists.feed is None:
                    self.error(404, query)
                else:
                    self.whole(_feed(lists.feed), "text/xml; charset=UTF-8")
            case ["youtubei", "v1", "browse"]:
                self.browse(json.loads(self.body))
            case ["watch"]:
                self.whole(
                    watch_page(self.player_of(query["v"])).encode(), "text/html; charset=utf-8"
                )
            case ["youtubei", "v1", "player"]:
                answer = self.player_of(json.loads(self.body)["videoId"])
                self.whole(json.dumps(answer).encode(), "application/json")
            case ["api", "timedtext"] if query.get("fmt") in ("vtt", "json3"):
                self.whole(timed_text(query), "text/plain")
            case ["videoplayback"]:
                self.file(SPEECH, "", query)
            case ["playlist"]:
                self.page(_playlist_page(lists))
            case ["channel" | "c" | "user", _, "videos" | "streams" | "shorts" as tab]:
                self.page(_channel_page(lists, tab))
            case [name, "videos" | "streams" | "shorts" as tab] if (
                name.startswith("@") and name != "@nobody"
            ):
                self.page(_channel_page(lists, tab))
            case _:
                self.error(404, query)

    def player_of(self, video_id: str) -> dict[str, Any]:
        speech = self.media.read(SPEECH)
        assert speech is not None
        return player(video_id, self.host.captions.get(video_id, Captions()), len(speech))

    def page(self, data: Any) -> None:
        text = f"<!doctype html><script>var ytInitialData = {json.dumps(data)};</script>"
        self.whole(text.encode(), "text/html; charset=utf-8")

    def browse(self, request: dict[str, Any]) -> None:
        if "continuation" not in request:  # the playlist, with what is unavailable
            self.whole(json.dumps(_playlist_page(self.host.lists)).encode(), "application/json")
            return
        self.host.continuations += 1
        status = self.host.fail.get(self.host.continuations)
        if status == 200:
            self.whole(b"{}", "application/json")
            return
        if status is not None:
            self.error(status, {"retry_after": "9"})
            return
        name, _, start = request["continuation"].partition("|")
        items = _items(self.host.lists, name, int(start))
        action = {"appendContinuationItemsAction": {"continuationItems": items}}
        self.whole(json.dumps({"onResponseReceivedActions": [action]}).encode(), "application/json")

    @property
    def host(self) -> YouTubeHost:
        assert isinstance(self.media, YouTubeHost)
        return self.media


YouTubeHost.handler_class = YouTubeHandler


@pytest.fixture(scope="session")
def youtube_certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made once."""
    return certificate_of(HOSTS, tmp_path_factory.mktemp("tls"))


@pytest.fixture
def youtube(youtube_certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[YouTubeHost]:
    """www.youtube.com on loopback, for this process and those that it starts for yt-dlp."""
    with YouTubeHost(tls_of(youtube_certificate)) as host:
        lead_to_loopback(monkeypatch, HOSTS, host.port, youtube_certificate)
        yield host


_SHAPE_OF = {
    "videos": "lockup.json",
    "streams": "lockup.json",
    "shorts": "short.json",
    "playlist": "playlist_video.json",
}


def _items(lists: Lists, name: str, start: int) -> list[Any]:
    """A page of a list as YouTube shows it, and where the next one is."""
    listed, end = getattr(lists, name), start + lists.page_size
    items = [video.as_item(_SHAPE_OF[name]) for video in listed[start:end]]
    if end < len(listed):
        command = {"continuationCommand": {"token": f"{name}|{end}"}}
        items.append({"continuationItemRenderer": {"continuationEndpoint": command}})
    return items


def _channel_page(lists: Lists, selected: str) -> Any:
    tabs = []
    for tab in ("videos", "streams", "shorts"):
        if tab != "videos" and not getattr(lists, tab):
            continue
        url = {"commandMetadata": {"webCommandMetadata": {"url": f"/@achannel/{tab}"}}}
        values: dict[str, Any] = {"endpoint": url, "title": tab.capitalize()}
        if tab == selected:
            content = {"richGridRenderer": {"contents": _items(lists, tab, 0)}}
            values |= {"selected": True, "content": content}
        tabs.append({"tabRenderer": values})
    return {
        "contents": {"twoColumnBrowseResultsRenderer": {"tabs": tabs}},
        "metadata": {
            "channelMetadataRenderer": {
                "title": NAME,
                "externalId": CHANNEL,
                "channelUrl": f"https://www.youtube.com/channel/{CHANNEL}",
                "vanityChannelUrl": "http://www.youtube.com/@achannel",
            }
        },
    }


def _playlist_page(lists: Lists) -> Any:
    videos = {"playlistVideoListRenderer": {"contents": _items(lists, "playlist", 0)}}
    content = {
        "sectionListRenderer": {"contents": [{"itemSectionRenderer": {"contents": [videos]}}]}
    }
    return {
        "contents": {
            "twoColumnBrowseResultsRenderer": {
                "tabs": [{"tabRenderer": {"selected": True, "content": content}}]
            }
        },
        "metadata": {"playlistMetadataRenderer": {"title": "A playlist"}},
    }


def _feed(listed: list[Video]) -> bytes:
    """The newest 15 as YouTube's Atom feed; a video whose `badge` is `SHORTS` is a short."""
    entries = []
    for at, video in enumerate(listed[:15]):
        page = f"shorts/{video.id}" if video.badge == "SHORTS" else f"watch?v={video.id}"
        when = (datetime(2026, 1, 31, tzinfo=UTC) - timedelta(days=at)).isoformat()
        values = {"id": video.id, "title": video.title, "page": page, "when": when}
        entries.append(_SHAPES["feed_entry.xml"].substitute(values))
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        '<feed xmlns:yt="http://www.youtube.com/xml/schemas/2015"'
        ' xmlns:media="http://search.yahoo.com/mrss/" xmlns="http://www.w3.org/2005/Atom">'
        f"<title>{NAME}</title>{''.join(entries)}</feed>"
    ).encode()
