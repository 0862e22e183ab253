"""Links that try to lead a download somewhere else: all refused, and the proxy saw them."""

import gzip
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from resources.download.download_child import deno_path
from resources.download.protocol import DownloadJob
from resources.download.ytdlp_options import ytdlp_options
from resources.download.ytdlp_process import child_environment
from resources.network import egress_proxy
from tests.resources.download.downloads import download_audio, downloader, fetch
from tests.support.servers.media_server import MediaServer
from ytcaption.domain.errors import (
    BlockedAddress,
    MediaTooLarge,
    SourceError,
    UnsupportedSite,
    YtcaptionError,
)
from ytcaption.domain.media.media import MediaSource

# The media server is 127.0.0.1/32, which is allowed; every other private address is not.
ALLOWED = ["127.0.0.1/32"]
TARGETS = [
    *("127.0.0.2", "169.254.169.254", "10.0.0.1", "192.168.1.1", "0.0.0.0"),
    *("[::1]", "[::ffff:10.0.0.1]", "[::ffff:a9fe:a9fe]", "[64:ff9b::a9fe:a9fe]"),
    *("2130706434", "0x7f000002", "127.2", "private.example"),
]


@pytest.fixture(autouse=True)
def names(monkeypatch: pytest.MonkeyPatch) -> None:
    """`private.example` is 10.0.0.9; the rest is resolved as ever."""
    resolve = egress_proxy.resolve

    async def patched(host: str, port: int) -> list[str]:
        return ["10.0.0.9"] if host == "private.example" else await resolve(host, port)

    monkeypatch.setattr(egress_proxy, "resolve", patched)


@pytest.fixture
def server() -> Iterator[MediaServer]:
    with MediaServer() as running:
        yield running


def refused(server: MediaServer, url: str, folder: Path) -> str:
    """Return the error's message; no server got a further request."""
    with pytest.raises(BlockedAddress) as caught:
        fetch(url, folder, allowed_networks=ALLOWED)
    assert not (folder / "media").exists()
    return str(caught.value)


@pytest.mark.long
@pytest.mark.parametrize("host", TARGETS)
def test_a_redirect_to_a_private_address_is_refused(
    server: MediaServer, tmp_path: Path, host: str
) -> None:
    """A host that is allowed leads to no other one that is not, in any spelling."""
    message = refused(server, server.url("redirect", to=f"http://{host}/a.mp3"), tmp_path)
    assert "its address is not public" in message
    assert "10.0.0.9" not in message  # what a name resolves to inside is nobody's business


@pytest.mark.long
@pytest.mark.parametrize(
    "target",
    ["http://10.0.0.1/a.ts", "https://10.0.0.1/a.ts", "http://[::1]/a.ts",
     "http://private.example/a.ts", "http://127.0.0.2:5432/a.ts"],
)  # fmt: skip
def test_parts_of_a_stream_from_private_addresses_are_refused(
    server: MediaServer, tmp_path: Path, target: str
) -> None:
    """Segments, keys and nested manifests are hops like any other."""
    refused(server, server.url("playlist/a.m3u8", segment=target), tmp_path)


@pytest.mark.long
def test_a_manifest_of_manifests_and_keys_is_refused(server: MediaServer, tmp_path: Path) -> None:
    """Variants and keys at private addresses are refused too."""
    variant = "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nhttp://10.0.0.1/b.m3u8\n"
    server.serve("variants.m3u8", variant.encode())
    key = '#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-KEY:METHOD=AES-128,URI="http://10.0.0.1/k"\n'
    key += f"#EXTINF:2,\n{server.url('jfk.flac')}\n#EXT-X-ENDLIST\n"
    server.serve("key.m3u8", key.encode())
    for name in ("variants.m3u8", "key.m3u8"):
        refused(server, server.url(name), tmp_path)


@pytest.mark.long
@pytest.mark.parametrize(
    "target", ["file:///etc/passwd", "ftp://127.0.0.1/a.mp3", "gopher://127.0.0.1/", "data:,x"]
)
def test_other_schemes_are_not_followed(server: MediaServer, tmp_path: Path, target: str) -> None:
    """A redirect or a segment opens nothing but http and https."""
    for url in (server.url("redirect", to=target), server.url("playlist/a.m3u8", segment=target)):
        with pytest.raises(YtcaptionError) as caught:
            fetch(url, tmp_path, allowed_networks=ALLOWED)
        assert isinstance(caught.value, SourceError | BlockedAddress | UnsupportedSite)
    files = [path.read_bytes() for path in tmp_path.iterdir()]
    assert not any(b"root:" in content for content in files)


def test_a_name_that_turns_private_is_refused(
    server: MediaServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second look at the same name is checked again (DNS rebinding)."""
    resolved: list[str] = []

    async def rebind(host: str, port: int) -> list[str]:
        resolved.append(host)
        return ["127.0.0.1"] if len(resolved) == 1 else ["10.0.0.9"]

    monkeypatch.setattr(egress_proxy, "resolve", rebind)
    refused(server, f"http://rebind.example:{server.port}/jfk.flac", tmp_path)
    assert len(server.requests) == 1


@pytest.mark.long
def test_private_addresses_are_closed_without_a_setting(
    server: MediaServer, tmp_path: Path
) -> None:
    """By default not even the first hop to loopback is made, by number or by name."""
    for url in (server.url("jfk.flac"), f"http://localhost:{server.port}/jfk.flac"):
        source = MediaSource("url-x", "direct", url, "Generic")
        with pytest.raises(BlockedAddress):
            closed = downloader(allowed_networks=[])
            download_audio(closed, source, tmp_path, lambda done, total: None)
    assert not server.requests


@pytest.mark.long
def test_a_page_that_is_lemonde_by_its_path_alone_is_a_page(
    server: MediaServer, tmp_path: Path
) -> None:
    """Neither another site's extractor nor an embed is taken from a direct link's page."""
    media = server.url("jfk.flac")
    player = f"<html><script>jwplayer('v').setup({{'file': '{media}'}});</script></html>"
    server.serve("x.lemonde.fr/a/b.html", b"<!doctype html><title>x</title>")
    server.serve("player.html", f"<!doctype html>{player}".encode())
    for url in (
        server.url("x.lemonde.fr/a/b.html"),
        server.url("player.html"),
        server.url("page", src=media),
        server.url("page", src="https://www.youtube.com/embed/dQw4w9WgXcQ"),
    ):
        with pytest.raises(UnsupportedSite):
            fetch(url, tmp_path, allowed_networks=ALLOWED)
    assert len(server.requests) == 4


@pytest.mark.long
def test_a_page_that_unpacks_to_gigabytes_ends_the_download(
    server: MediaServer, tmp_path: Path
) -> None:
    """Compressed HTML does not fill the memory."""
    part = gzip.compress(bytes(64 * 1024**2), 9)
    server.serve("bomb.html", gzip.compress(b"<!doctype html><html>") + part * 48)
    url = server.url("as/bomb.html", type="text/html", encoding="gzip")
    with pytest.raises(MediaTooLarge, match="page"):
        fetch(url, tmp_path, allowed_networks=ALLOWED)


GUARDED = """
import sys
from resources.download.download_child import limit_resources, only_proxy_and_deno, deno_path
only_proxy_and_deno({port}, deno_path())
limit_resources(1000)
{body}
"""


def guarded(body: str, tmp_path: Path, port: int = 1) -> str:
    """What a child process prints that runs this under the guards of yt-dlp's."""
    return subprocess.run(
        [sys.executable, "-P", "-c", GUARDED.format(port=port, body=body)],
        env=child_environment(tmp_path),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    ).stderr


@pytest.mark.long
@pytest.mark.parametrize(
    "body",
    [
        "import socket; socket.create_connection(('127.0.0.1', 80))",
        "import socket; socket.socket(socket.AF_UNIX).connect('/tmp/x')",
        "import socket; socket.getaddrinfo('example.com', 80)",
        "import subprocess; subprocess.run(['ffmpeg', '-version'])",
        "import subprocess; subprocess.run('id', shell=True)",
        "import os; os.system('id')",
        "import os; os.posix_spawn('/bin/true', ['true'], {})",
        "import os; os.execv('/bin/true', ['true'])",
    ],
)
def test_the_child_reaches_the_proxy_and_deno_only(body: str, tmp_path: Path) -> None:
    """Whatever yt-dlp's options say, other connections and programs are stopped."""
    assert "PermissionError" in guarded(body, tmp_path)


@pytest.mark.long
def test_the_child_cannot_fill_memory_or_disk(tmp_path: Path) -> None:
    """Memory and file size have limits that the kernel keeps."""
    assert "MemoryError" in guarded("x = bytearray(3 * 1024**3)", tmp_path)
    assert "File too large" in guarded("open('x', 'wb').write(bytes(17 * 1024**2))", tmp_path)


def test_deno_runs_under_the_limits(tmp_path: Path) -> None:
    """YouTube's player needs a JavaScript runtime: the wheel's binary runs where yt-dlp does."""
    deno = deno_path()
    assert deno is not None
    body = (
        "import subprocess\n"
        f"run = subprocess.run([{deno!r}, 'eval', 'console.log(6*7)'], capture_output=True)\n"
        "sys.stderr.write(repr(run.stdout))"
    )
    assert "42" in guarded(body, tmp_path)


def test_yt_dlp_finds_deno_and_its_player_scripts() -> None:
    """The runtime and the solver scripts are both there, so nothing is fetched to run."""
    import yt_dlp_ejs.yt.solver  # noqa: F401
    from yt_dlp import YoutubeDL

    deno = deno_path()
    job = DownloadJob("m", "https://x/", "site", "Youtube", "http://127.0.0.1:1", 1, 1, 1)
    with YoutubeDL(ytdlp_options(job, deno)) as ydl:
        runtime = ydl._js_runtimes["deno"]  # pyright: ignore[reportAttributeAccessIssue]
        assert runtime is not None and runtime.info.supported
        assert "Generic" not in ydl._ies  # pyright: ignore[reportAttributeAccessIssue]
        assert "Youtube" in ydl._ies  # pyright: ignore[reportAttributeAccessIssue]


def test_the_options_are_plain_and_hold_no_identity() -> None:
    """No cookies, no netrc, no file URLs, no plugins, no remote code, no foreign downloader."""
    job = DownloadJob("m", "https://x/", "direct", "Generic", "http://127.0.0.1:1", 1, 1, 1)
    options = ytdlp_options(job, None)
    assert options["proxy"] == "http://127.0.0.1:1"
    assert options["allowed_extractors"] == ["generic"]
    assert options["remote_components"] == [] and options["js_runtimes"] == {}
    assert not options["enable_file_urls"] and not options["usenetrc"]
    assert options["cookiefile"] is None and options["cookiesfrombrowser"] is None
