"""Reduce links to the URL of the media file: without download counters, without signatures."""

import re
from dataclasses import replace

from ytcaption.domain.errors import InvalidUrl
from ytcaption.domain.media.urls import WebUrl, parse_url

# Services that podcasts put before their files to count downloads: each answers with a redirect to
# the address that makes up the rest of its path. `*` is any one part of it.
_COUNTERS = (
    "dts.podtrac.com/redirect.*",
    "www.podtrac.com/pts/redirect.*",
    "play.podtrac.com/*",
    "chtbl.com/track/*",
    "chrt.fm/track/*",
    "pdst.fm/e",
    "op3.dev/e",
    "op3.dev/e,*",
    "media.blubrry.com/*",
    "mgln.ai/e/*",
    "pscrb.fm/rss/p",
    "verifi.podscribe.com/rss/p",
    "prfx.byspotify.com/e",
    "pfx.vpixl.com/*",
    "arttrk.com/p/*",
    "tracking.swap.fm/track/*",
    "claritaspod.com/measure",
    "clrtpod.com/m",
    "rss.pdrl.fm/*",
    "pdcn.co/e",
    "growx.podkite.com/https/*",
    "2.gum.fm",
)
_PATTERNS = tuple(
    re.compile(
        "/".join(re.escape(part).replace(r"\*", "[^/]*") for part in counter.split("/"))
        + r"/(?:(https?)(?:://?|/))?(?=[^/]+\.[a-z]{2,}(?::[0-9]+)?/)"
    )
    for counter in _COUNTERS
)
# What a signed link holds besides the file's address; the file is the same without.
_SIGNATURE = re.compile(
    r"X-(Amz|Goog)-.+|Expires|Signature|Policy|Key-Pair-Id|AWSAccessKeyId|GoogleAccessId"
    r"|hdnt[sel]|token-time|token-hash",
    re.IGNORECASE,
)


def without_counters(url: WebUrl) -> WebUrl:
    """Return the file's own URL, without known counting services before it."""
    while True:
        address = f"{url.host}{url.path}"
        match = next((m for pattern in _PATTERNS if (m := pattern.match(address))), None)
        if match is None:
            return url
        query = f"?{url.query}" if url.query else ""
        try:
            inner = parse_url(f"{match[1] or url.scheme}://{address[match.end() :]}{query}")
        except InvalidUrl:
            return url
        url = inner


def unsigned(url: str) -> str:
    """Return a stored URL without the parameters that sign it and make it expire; without any where
    it cannot be parsed."""
    try:
        return str(without_signature(parse_url(url)))
    except InvalidUrl:
        return url.partition("?")[0]


def without_signature(url: WebUrl) -> WebUrl:
    """Return the URL without the parameters that sign it and make it expire."""
    kept = [
        part for part in url.query.split("&") if not _SIGNATURE.fullmatch(part.partition("=")[0])
    ]
    return replace(url, query="&".join(kept))
