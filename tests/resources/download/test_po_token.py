"""The one plugin of yt-dlp that may be loaded: a provider of PO tokens, named by the operator."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import resources
from resources.download.egress import EgressRoute
from resources.download.po_token import check_provider
from resources.download.protocol import ClientIdentity, DownloadJob, encode
from tests.support.patience import patience
from tests.support.servers.media_server import MediaServer
from ytcaption.domain.errors import SetupError
from ytcaption.domain.media.media import MediaSource
from ytcaption.settings.settings import Settings

# As bgutil-ytdlp-pot-provider 2.0: it sends requests to its server without a proxy.
PLUGIN = """
import json
from yt_dlp.extractor.youtube.pot.provider import (
    PoTokenProvider, PoTokenResponse, register_provider,
)
from yt_dlp.networking.common import Request

@register_provider
class LocalHTTPPTP(PoTokenProvider):
    PROVIDER_NAME = "local:http"
    PROVIDER_VERSION = "1"
    BUG_REPORT_LOCATION = "nowhere"
    _SUPPORTED_CONTEXTS = None
    _SUPPORTED_CLIENTS = None
    _SUPPORTED_EXTERNAL_REQUEST_FEATURES = None

    def is_available(self):
        return True

    def _real_request_pot(self, request):
        base_url = self._configuration_arg("base_url", default=[None])[0]
        answer = self._request_webpage(
            Request(f"{base_url}/get_pot", data=b"{}", proxies={"all": None})
        )
        return PoTokenResponse(po_token=json.load(answer)["poToken"])
"""
ASK = """
import json, sys
from resources.download.po_token import load_provider
from resources.download.protocol import read_download_job
job = read_download_job(sys.argv[1])
from resources.download.download_child import only_proxy_and_deno
from urllib.parse import urlsplit
only_proxy_and_deno(urlsplit(job.proxy).port, None)
keys = load_provider("wanted-provider")
from resources.download.media_downloader import MediaDownloader
from yt_dlp.extractor.youtube.pot._director import initialize_pot_director
from yt_dlp.extractor.youtube.pot.provider import PoTokenContext, PoTokenRequest
with MediaDownloader(job, None, keys) as downloader:
    director = initialize_pot_director(downloader.get_info_extractor("Youtube"))
    token = director.get_po_token(PoTokenRequest(
        PoTokenContext.GVS, {"client": {"clientName": "WEB"}},
        internal_client_name="web", visitor_data="visitor", bypass_cache=True,
    ))
plugins = sorted(name for name in sys.modules if name.startswith("yt_dlp_plugins."))
print(json.dumps({"token": token, "keys": keys, "plugins": plugins}))
"""
TOKEN = "bWFkZS1oZXJl" * 12


def install(folder: Path, package: str, module: str, content: str) -> None:
    """A plugin as pip installs one."""
    plugin = folder / "yt_dlp_plugins" / "extractor" / f"{module}.py"
    plugin.parent.mkdir(parents=True, exist_ok=True)
    plugin.write_text(content)
    about = folder / f"{package.replace('-', '_')}-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (about / "RECORD").write_text(f"yt_dlp_plugins/extractor/{module}.py,,\n")


@pytest.mark.slow
def test_only_the_named_package_is_used(tmp_path: Path):
    """Its server is reached through the egress proxy, at that host and port alone; another plugin
    that is installed is not loaded."""
    install(tmp_path, "wanted-provider", "getpot_wanted", PLUGIN)
    install(tmp_path, "other-plugin", "getpot_other", "raise SystemExit('it is not to be loaded')")
    with MediaServer() as server, MediaServer() as other:
        server.serve("get_pot", json.dumps({"poToken": TOKEN}).encode())
        other.serve("get_pot", json.dumps({"poToken": TOKEN}).encode())
        identity = ClientIdentity(
            po_token_provider="wanted-provider", po_token_url=f"http://127.0.0.1:{server.port}"
        )
        route = EgressRoute(identity=identity)
        for target in (server, other):
            opening = route.proxy(allowed_networks=(), max_bytes=1_000_000, idle_timeout_s=60)
            with opening as proxy:
                url = f"http://127.0.0.1:{target.port}"
                job = DownloadJob(
                    media_id="youtube-x",
                    url="https://www.youtube.com/watch?v=dQw4w9WgXcQ",
                    kind="site",
                    extractor="Youtube",
                    proxy=proxy.url,
                    max_bytes=1000,
                    max_audio_s=10,
                    socket_timeout_s=5 * patience(),
                    identity=replace(identity, po_token_url=url),
                )
                answer = _ask(job, tmp_path)
            is_right = target is server
            assert answer["token"] == (TOKEN if is_right else None)
            assert answer["keys"] == ["LocalHTTP"]
            assert "yt_dlp_plugins.extractor.getpot_wanted" in answer["plugins"]
            assert not [name for name in answer["plugins"] if "other" in name]
        assert [each.method for each in server.requests] == ["POST"]
        assert not other.requests


def _ask(job: DownloadJob, folder: Path) -> dict:
    root = str(Path(str(resources.__file__)).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", ASK, encode(job).decode()],
        capture_output=True,
        cwd=folder,
        check=False,
        env={
            "PYTHONPATH": os.pathsep.join((root, str(folder))),
            "YTDLP_NO_PLUGINS": "1",
            "PATH": os.defpath,
        },
    )
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("package", ["no-such-provider", "yt-dlp"])
def test_a_package_that_is_no_plugin_is_refused(package: str):
    """The message states what to do."""
    check_provider(None)
    with pytest.raises(SetupError, match=f"pip install {package}"):
        check_provider(package)


def test_only_downloads_from_youtube_know_of_it():
    """A link to another site cannot reach the operator's server through it."""
    settings = Settings(  # pyright: ignore[reportCallIssue]
        po_token_provider="a",
        po_token_url="http://127.0.0.1:4416",
        youtube_clients="mweb",  # pyright: ignore[reportArgumentType]
        _env_file=None,
    )
    elsewhere = MediaSource("url-x", "direct", "https://example.org/a.mp3", "Generic")
    route = EgressRoute.of(settings, elsewhere)
    assert route.open_targets == () and not route.identity.clients
    video = MediaSource("youtube-x", "site", "https://www.youtube.com/watch?v=x", "Youtube")
    route = EgressRoute.of(settings, video)
    assert route.open_targets == (("127.0.0.1", 4416),)
    assert route.identity.clients == ("mweb",)
