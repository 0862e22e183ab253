"""A host of channels on loopback: podcasts, pages and lists, whose audio is real speech.

    with ChannelHost() as host:
        url = host.podcast("news", 3)            # a feed of three episodes
        host.podcast("news", 4, gone={0})        # one more has come, the oldest has gone

Besides what `MediaServer` does with a feed's name (`slow/`, `cut/`, `status/`, `redirect`):

- `feeds/<name>.xml`: what `podcast()` or `publish()` put there, with ETag and Last-Modified, 304
- `feeds/plain/<name>.xml`: the same by a server that knows no conditions
- `episodes/<number>/<file>`: a file of the folder under as many URLs as there are episodes
- `huge.xml?bytes=N`: the beginning of a feed, and zeros until N bytes
"""

from collections.abc import Collection
from email.utils import formatdate

from tests.support.channel_feeds import Episode, rss
from tests.support.servers.media_server import (
    CHUNK,
    MediaHandler,
    MediaServer,
)

SPEECH = "jfk.flac"


class ChannelHost(MediaServer):
    """The host; a context manager."""

    def __init__(self) -> None:
        super().__init__()
        self.changed_at: dict[str, str] = {}

    def episode(self, number: int, **fields: object) -> Episode:
        """An episode with audio of its own."""
        values = {"url": self.url(f"episodes/{number}/{SPEECH}"), **fields}
        return Episode(number, **values)  # pyright: ignore[reportArgumentType]

    def podcast(self, name: str, episodes: int, gone: Collection[int] = ()) -> str:
        """Publish a feed of this number of episodes, without removed ones; return its URL."""
        kept = [self.episode(n) for n in reversed(range(episodes)) if n not in gone]
        return self.publish(name, rss(name, kept))

    def publish(self, name: str, feed: bytes) -> str:
        """Serve this feed from now on; its URL."""
        self.serve(f"feeds/{name}.xml", feed)
        self.changed_at[name] = formatdate(1_700_000_000 + len(self.requests), usegmt=True)
        return self.url(f"feeds/{name}.xml")

    def statuses(self, path: str) -> list[int]:
        """The status of each answer to a path, in order."""
        return [served.status for served in self.requests if served.path.strip("/") == path]


class _Handler(MediaHandler):
    def answer(self, path: list[str], query: dict[str, str]) -> None:
        match path:
            case ["feeds", name]:
                self.feed(name)
            case ["feeds", "plain", name]:
                self.whole(self.media.read(f"feeds/{name}") or b"", "application/rss+xml")
            case ["episodes", _, name]:
                self.file(name, "", query)
            case ["huge.xml"]:
                self.huge(int(query["bytes"]))
            case _:
                super().answer(path, query)

    def feed(self, name: str) -> None:
        data = self.media.read(f"feeds/{name}")
        if data is None:
            self.error(404, {})
            return
        assert isinstance(self.media, ChannelHost)
        etag = f'W/"{hash(data):x}"'
        changed_at = self.media.changed_at[name.removesuffix(".xml")]
        conditions = (self.headers.get("If-None-Match"), self.headers.get("If-Modified-Since"))
        if conditions[0] == etag or (conditions[0] is None and conditions[1] == changed_at):
            self.whole(b"", "application/rss+xml", 304)
        else:
            headers = {"ETag": etag, "Last-Modified": changed_at}
            self.whole(data, "application/rss+xml", **headers)

    def huge(self, size_bytes: int) -> None:
        self.head(200, "application/rss+xml")
        self.send(b'<?xml version="1.0"?><rss version="2.0"><channel><title>')
        for _ in range(size_bytes // CHUNK):
            if self.media.closing.is_set():
                return
            self.send(b"x" * CHUNK)


ChannelHost.handler_class = _Handler
