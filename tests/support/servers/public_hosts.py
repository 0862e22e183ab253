"""YouTube and a web server with media, by their public names, for processes that are started."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.paths import TESTS
from tests.support.servers.media_server import MediaHandler
from tests.support.servers.site_tls import certificate_of, tls_of
from tests.support.servers.youtube_host import YouTubeHandler, YouTubeHost

HOSTS = ("youtube.com", "youtu.be", "googlevideo.com", "example.org")
ADDRESS = "127.0.0.2"


class _PublicHandler(YouTubeHandler):
    def answer(self, path: list[str], query: dict[str, str]) -> None:
        if (self.headers.get("Host") or "").partition(":")[0].endswith("example.org"):
            MediaHandler.answer(self, path, query)
            return
        super().answer(path, query)


class PublicHosts(YouTubeHost):
    """All of `HOSTS` over TLS on one port; a context manager."""

    handler_class = _PublicHandler


@contextmanager
def public_hosts(folder: Path) -> Iterator[tuple[PublicHosts, dict[str, str]]]:
    """Serve the hosts; with what the environment of a process has to say that is to reach them."""
    certificate = certificate_of(HOSTS, folder)
    with PublicHosts(tls_of(certificate), host=ADDRESS) as hosts:
        led = ",".join(f"{name}={ADDRESS}:{hosts.port}" for name in HOSTS)
        places = (str(TESTS / "support" / "internet"), os.environ.get("PYTHONPATH", ""))
        yield (
            hosts,
            {
                "PYTHONPATH": os.pathsep.join(filter(None, places)),
                "TEST_PUBLIC_HOSTS": led,
                "SSL_CERT_FILE": str(certificate),
                "YTCAPTION_ALLOWED_NETWORKS": f"{ADDRESS}/32",
            },
        )
