"""yt-dlp with a limit on the size of pages, which remembers a refusal's `Retry-After`.

Only the processes of downloads and listings import this module.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

from yt_dlp import YoutubeDL  # noqa: TID253
from yt_dlp.networking import Request  # noqa: TID253
from yt_dlp.networking.exceptions import HTTPError  # noqa: TID253

from resources.network.http_errors import MAX_RETRY_AFTER_S
from ytcaption.domain.errors import MediaTooLarge
from ytcaption.domain.retry_after import retry_after_s

MAX_PAGE_BYTES = 64 * 1024**2


class BoundedYoutubeDL(YoutubeDL):
    """yt-dlp as downloads and listings use it.

    Attributes:
        retry_after_s: wait that the last response imposes, if it was a refusal.
    """

    retry_after_s: float | None = None

    def urlopen(self, req: Any) -> Any:
        """Open a request and store the `Retry-After` of a refusal."""
        self.retry_after_s = None
        if isinstance(req, Request):
            req.proxies = {}  # a plugin may request no proxy: only the egress proxy is reachable
        try:
            return self.open(req)
        except HTTPError as error:
            wait_s = retry_after_s(error.response.headers.get("Retry-After"), datetime.now(UTC))
            self.retry_after_s = None if wait_s is None else min(wait_s, MAX_RETRY_AFTER_S)
            raise

    def open(self, req: Any) -> Any:
        """Open a request and limit the size of the page in its response."""
        response = self.open_unlimited(req)
        response.read = partial(_read_page, response.read)
        return response

    def open_unlimited(self, req: Any) -> Any:
        """Open a request as yt-dlp's own `urlopen` does."""
        return super().urlopen(req)


def _read_page(read: Callable[..., bytes], amount: int | None = None) -> bytes:
    """Read as `read` does, but limit the unpacked size of a whole page."""
    if amount is not None:
        return read(amount)
    page = bytearray()
    while piece := read(1 << 20):
        page += piece
        if len(page) > MAX_PAGE_BYTES:
            raise MediaTooLarge("The server's page or list of parts is larger than allowed.")
    return bytes(page)
