"""A web server on loopback that serves media as the internet does: ranges, stalls, cuts, errors.

    with MediaServer() as server:
        download(server.url("jfk.flac"))
        assert server.bytes_sent("/jfk.flac") == 196348

What each path does:

- `<file>`: a file of the folder, or bytes given to `serve()`
- `norange/<file>`: ignores Range, always the whole file; `noetag/<file>`: without ETag
- `slow/<file>?rate=N`: N bytes a second
- `stall/<file>?after=N&times=T`: N bytes, then nothing until the server closes, the first T times
- `cut/<file>?after=N&times=T`: hangs up after N bytes, the first T times
  (defaults of both: half of the file, always)
- `as/<file>?type=T&encoding=E`: with that content type and encoding
- `status/<code>?retry_after=N`: that status; `status/<code>/<file>?times=T`: T times, then the file
- `redirect?to=URL&status=N`: to any URL; without `to` to itself, for ever
- `endless/<name>`: zeros without end or Content-Length
- `page?src=URL`: an HTML page, with `src` one that embeds the media
- `hls/<file>/index.m3u8`, `dash/<file>/index.mpd`: the file as a stream of 2 s AAC segments
- `playlist/<name>.m3u8?segment=URL,URL`: an HLS manifest of the given segments
- `feed/<name>.xml?src=URL`: an RSS feed with one enclosure
- `<path>?start=N`: what `pages` holds for (path, N)
"""

import contextlib
import hashlib
import shutil
import ssl
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from tests.support.media_content import TYPES, feed, mime, page, write_stream
from tests.support.paths import DATA

CHUNK = 16 * 1024


@dataclass
class Served:
    """One request as it was answered.

    Attributes:
        path: without the query.
        range: the Range header.
        bytes_sent: of the body.
    """

    method: str
    path: str
    query: dict[str, str]
    range: str | None
    headers: dict[str, str]
    status: int = 0
    bytes_sent: int = 0


class MediaServer:
    """The server; a context manager.

    Args:
        directory: folder whose files are served.
        host: loopback address to bind, such as `127.0.0.2`.
        port: 0 is any free one.
        tls: serves https with this context.
    """

    handler_class: "type[MediaHandler]"

    def __init__(
        self,
        directory: Path = DATA,
        host: str = "127.0.0.1",
        tls: ssl.SSLContext | None = None,
        port: int = 0,
    ) -> None:
        self.directory = directory
        self.requests: list[Served] = []
        self.closing = threading.Event()
        self.counts: Counter[str] = Counter()
        self._given: dict[str, bytes] = {}
        self.pages: dict[tuple[str, str], bytes] = {}
        self._lock = threading.Lock()
        self._segments = Path(tempfile.mkdtemp(prefix="media-server-"))
        handler = type("Handler", (self.handler_class,), {"media": self})
        self._server = ThreadingHTTPServer((host, port), handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self.scheme = "https" if tls else "http"
        if tls:
            self._server.socket = tls.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self.host, self.port = host, int(self._server.server_address[1])
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), daemon=True
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        shutil.rmtree(self._segments, ignore_errors=True)

    def url(self, path: str, **query: object) -> str:
        """Absolute URL of a path of the table above."""
        suffix = "?" + urlencode({k: str(v) for k, v in query.items()}) if query else ""
        return f"{self.scheme}://{self.host}:{self.port}/{quote(path)}{suffix}"

    def serve(self, name: str, data: bytes) -> str:
        """Serve these bytes under this name from now on; its URL. Other bytes, other ETag."""
        self._given[name] = data
        return self.url(name)

    def bytes_sent(self, path: str = "") -> int:
        """Body bytes sent for paths that begin like this."""
        return sum(served.bytes_sent for served in self.requests if served.path.startswith(path))

    def read(self, name: str) -> bytes | None:
        """Bytes of a name; None where there is none."""
        if name in self._given:
            return self._given[name]
        path = self.directory / name
        return path.read_bytes() if Path(name).name == name and path.is_file() else None

    def stream_file(self, protocol: str, name: str, part: str) -> bytes | None:
        """Manifest or segment of a file cut into HLS or DASH."""
        folder = self._segments / protocol / name
        with self._lock:
            if not folder.exists():
                data = self.read(name)
                if data is None:
                    return None
                folder.mkdir(parents=True)
                source = folder / "source"
                source.write_bytes(data)
                write_stream(protocol, source, folder)
        path = folder / part
        return path.read_bytes() if Path(part).name == part and path.is_file() else None


class MediaHandler(BaseHTTPRequestHandler):
    """Answers for one connection."""

    protocol_version = "HTTP/1.1"
    media: MediaServer
    served: Served
    body = b""

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_POST(self) -> None:
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.do_GET()

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        self.served = Served(
            self.command,
            unquote(parts.path),
            dict(parse_qsl(parts.query)),
            self.headers.get("Range"),
            dict(self.headers),
        )
        self.media.requests.append(self.served)
        with contextlib.suppress(ConnectionError):
            self.answer(self.served.path.strip("/").split("/"), self.served.query)

    def answer(self, path: list[str], query: dict[str, str]) -> None:
        match path:
            case ["norange" | "noetag" | "slow" | "stall" | "cut" | "as" as mode, name]:
                self.file(name, mode, query)
            case ["status", code]:
                self.error(int(code), query)
            case ["status", code, name]:
                self.media.counts[self.path] += 1
                if self.media.counts[self.path] <= int(query.get("times", 1 << 30)):
                    self.error(int(code), query)
                else:
                    self.file(name, "", query)
            case ["redirect"]:
                location = query.get("to") or self.path
                self.whole(b"", "text/plain", int(query.get("status", 302)), Location=location)
            case ["endless", name]:
                self.head(200, mime(name))
                while not self.media.closing.is_set():
                    self.send(bytes(CHUNK))
            case ["page"]:
                self.whole(page(query.get("src")), "text/html; charset=utf-8")
            case ["feed", _]:
                self.whole(feed(query["src"]), "application/rss+xml")
            case ["hls" | "dash" as protocol, name, part]:
                data = self.media.stream_file(protocol, name, part)
                if data is None:
                    self.error(404, query)
                else:
                    self.whole(data, mime(part))
            case ["playlist", _]:
                lines = ["#EXTM3U", "#EXT-X-VERSION:3", "#EXT-X-TARGETDURATION:2"]
                lines += [f"#EXTINF:2,\n{url}" for url in query["segment"].split(",")]
                self.whole("\n".join([*lines, "#EXT-X-ENDLIST\n"]).encode(), TYPES[".m3u8"])
            case [name]:
                self.file(name, "", query)
            case _ if (part := ("/".join(path), query.get("start", ""))) in self.media.pages:
                self.whole(self.media.pages[part], "application/json")
            case _:
                self.file("/".join(path), "", query)

    def file(self, name: str, mode: str, query: dict[str, str]) -> None:
        data = self.media.read(name)
        if data is None:
            self.error(404, query)
            return
        etag = f'"{hashlib.sha256(data).hexdigest()[:16]}"'
        start, end, status, headers = 0, len(data), 200, {"ETag": etag}
        if mode == "noetag":
            headers = {}
        if mode != "norange":
            headers["Accept-Ranges"] = "bytes"
            condition = self.headers.get("If-Range")
            if self.served.range and condition in (None, etag):
                first, _, last = self.served.range.removeprefix("bytes=").partition("-")
                if first:
                    start, end = int(first), min(int(last or len(data)) + bool(last), len(data))
                else:
                    start = max(len(data) - int(last), 0)
                if start >= len(data):
                    headers["Content-Range"] = f"bytes */{len(data)}"
                    self.whole(b"", "text/plain", 416, **headers)
                    return
                status = 206
                headers["Content-Range"] = f"bytes {start}-{end - 1}/{len(data)}"
        if "encoding" in query:
            headers["Content-Encoding"] = query["encoding"]
        body = data[start:end]
        content_type = query.get("type", mime(name)) if mode == "as" else mime(name)
        self.head(status, content_type, {**headers, "Content-Length": str(len(body))})
        limit = len(body)
        if mode in ("cut", "stall"):
            limit = int(query.get("after", len(body) // 2))
            self.media.counts[self.path] += self.command == "GET"
            if self.media.counts[self.path] > int(query.get("times", 1 << 30)):
                limit = len(body)
        rate = int(query.get("rate", 0))
        step = max(min(CHUNK, rate // 20), 1) if rate else CHUNK
        for offset in range(0, min(limit, len(body)), step):
            self.send(body[offset : min(offset + step, limit)])
            if rate:
                time.sleep(step / rate)
            if self.media.closing.is_set():
                return
        if mode == "stall" and limit < len(body):
            self.media.closing.wait()
        if limit < len(body):
            self.close_connection = True

    def error(self, status: int, query: dict[str, str]) -> None:
        headers = {"Retry-After": query["retry_after"]} if "retry_after" in query else {}
        self.whole(f"{status}\n".encode(), "text/plain", status, **headers)

    def whole(self, body: bytes, content_type: str, status: int = 200, **headers: str) -> None:
        self.head(status, content_type, {**headers, "Content-Length": str(len(body))})
        self.send(body)

    def head(self, status: int, content_type: str, headers: dict[str, str] | None = None) -> None:
        self.served.status = status
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if "Content-Length" not in (headers or {}):
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()

    def send(self, data: bytes) -> None:
        if self.command == "HEAD":
            return
        self.served.bytes_sent += len(data)  # first: a client may have all of it at once
        self.wfile.write(data)


MediaServer.handler_class = MediaHandler
