"""Which domains belong to the sites of the site list.

yt-dlp's extractors say what a URL is, but not whose: `http://10.0.0.1/x.lemonde.fr/a/b.html` is
Lemonde to them. So the host must be within one of these domains too.

Also which site a URL is of: the one that a download bothers, and that refuses or fails as one.
"""

from ytcaption.domain.media.urls import parse_url
from ytcaption.domain.request import short_hash

SITE_DOMAINS: dict[str, tuple[str, ...]] = {
    "youtube": ("youtube.com", "youtu.be", "youtube-nocookie.com", "youtubekids.com"),
    "vimeo": ("vimeo.com", "vimeopro.com"),
    "dailymotion": ("dailymotion.com", "dai.ly"),
    "twitch": ("twitch.tv",),
    "soundcloud": ("soundcloud.com",),
    "ted": ("ted.com",),
    "archive.org": ("archive.org",),
    "bbc": ("bbc.co.uk", "bbc.com"),
    "arte": ("arte.tv",),
    "ard": ("ardmediathek.de", "ardaudiothek.de", "ardsounds.de", "daserste.de", "sportschau.de"),
    "zdf": ("zdf.de", "zdfheute.de", "logo.de"),
    "tagesschau": ("tagesschau.de",),
    "npr": ("npr.org",),
    "pbs": ("pbs.org", "pbskids.org"),
    "cspan": ("c-span.org",),
    "cnn": ("cnn.com",),
    "reuters": ("reuters.com",),
    "bloomberg": ("bloomberg.com",),
    "aljazeera": ("aljazeera.com", "aljazeera.net"),
    "dw": ("dw.com",),
    "france.tv": ("france.tv", "franceinfo.fr", "francetvinfo.fr"),
    "rai": ("rai.it", "raiplay.it", "raiplaysound.it", "rainews.it", "raicultura.it"),
    "rtve": ("rtve.es",),
    "svt": ("svtplay.se", "svt.se"),
    "nrk": ("nrk.no", "nrksuper.no"),
    "dr": ("dr.dk",),
    "yle": ("yle.fi",),
    "nhk": ("nhk.or.jp", "nhk.jp"),
    "tiktok": ("tiktok.com",),
    "instagram": ("instagram.com",),
    "facebook": ("facebook.com", "fb.watch"),
    "twitter": ("twitter.com", "x.com"),
    "reddit": ("reddit.com", "redditmedia.com"),
    "bilibili": ("bilibili.com", "bilibili.tv"),
    "niconico": ("nicovideo.jp", "nicochannel.jp", "nico.ms"),
    "rumble": ("rumble.com",),
    "odysee": ("odysee.com", "lbry.tv"),
    "mixcloud": ("mixcloud.com",),
    "bandcamp": ("bandcamp.com",),
    "audiomack": ("audiomack.com",),
    "podcasts.apple": ("podcasts.apple.com",),
    "spreaker": ("spreaker.com",),
    "podbean": ("podbean.com",),
    "acast": ("acast.com",),
    "libsyn": ("libsyn.com",),
    "simplecast": ("simplecast.com",),
    "streamable": ("streamable.com",),
    "loom": ("loom.com",),
    "wistia": ("wistia.com", "wistia.net"),
    "khanacademy": ("khanacademy.org",),
    "coursera": ("coursera.org",),
    "linkedin": ("linkedin.com",),
    "slideslive": ("slideslive.com",),
    "videolectures": ("videolectures.net",),
}

_SITES = {domain: domains[0] for domains in SITE_DOMAINS.values() for domain in domains}


def site_of(url: str) -> str:
    """`youtube.com` for each address of YouTube, and so for each site of the table: its first
    domain. Of other URLs the host without `www.`, with its port where it is none of the scheme's.

    Raises:
        InvalidUrl: no http(s) URL.
    """
    parsed = parse_url(url)
    parents = parsed.host.split(".")
    for start in range(len(parents) - 1):
        if site := _SITES.get(".".join(parents[start:])):
            return site
    host = f"[{parsed.host}]" if ":" in parsed.host else parsed.host.removeprefix("www.")
    return host if parsed.port is None else f"{host}:{parsed.port}"


def domains_of(url: str) -> tuple[str, ...]:
    """Domains that belong to the site of a URL: those of the table, else its host.

    Raises:
        InvalidUrl: no http(s) URL.
    """
    site = site_of(url)
    listed = tuple(domain for domain, first in _SITES.items() if first == site)
    return listed or (parse_url(url).host.removeprefix("www."),)


def site_code(site: str) -> str:
    """A site as events may name it, for ever: a host that is on no list, by its hash."""
    return site if site in _SITES else f"host-{short_hash(site.encode())}"
