"""yt-dlp with a limit to what a page may hold, and an ear for when a site wants to be asked again.

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
    """yt-dlp as we use it for downloads and lists.

    Attributes:
        retry_after_s: the last answer was a refusal that wants to be asked no sooner.
    """

    retry_after_s: float | None = None

    def urlopen(self, req: Any) -> Any:
        """As `open`; a refusal's word of when to ask again is kept."""
        self.retry_after_s = None
        if isinstance(req, Request):
            req.proxies = {}  # a plugin may ask for none; there is the one way out
        try:
            return self.open(req)
        except HTTPError as error:
            wait_s = retry_after_s(error.response.headers.get("Retry-After"), datetime.now(UTC))
            self.retry_after_s = None if wait_s is None else min(wait_s, MAX_RETRY_AFTER_S)
            raise

    def open(self, req: Any) -> Any:
        """The answer to a request, a page's length bounded."""
        response = self.answer_to(req)
        response.read = partial(_read_page, response.read)
        return response

    def answer_to(self, req: Any) -> Any:
        """As yt-dlp's `urlopen`."""
        return super().urlopen(req)


def _read_page(read: Callable[..., bytes], amount: int | None = None) -> bytes:
    """As `read`, but a whole page has a limit, counted unpacked."""
    if amount is not None:
        return read(amount)
    page = bytearray()
    while piece := read(1 << 20):
        page += piece
        if len(page) > MAX_PAGE_BYTES:
            raise MediaTooLarge("The server's page or list of parts is larger than allowed.")
    return bytes(page)
