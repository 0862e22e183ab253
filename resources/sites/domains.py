"""The domains of the sites of the site list, and the site of a URL.

yt-dlp's extractors recognise the form of a URL, not its owner: they take
`http://10.0.0.1/x.lemonde.fr/a/b.html` for Lemonde. So the host must be within one of these domains
as well. A site is also the unit of pacing and of the circuit breaker.
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
    """Return the site of a URL: the first of its domains, such as `youtube.com` for youtu.be.

    For a site that is not in the table it is the host without `www.`, with a port that is not the
    scheme's default.

    Raises:
        InvalidUrl: not an http(s) URL.
    """
    parsed = parse_url(url)
    parents = parsed.host.split(".")
    for start in range(len(parents) - 1):
        if site := _SITES.get(".".join(parents[start:])):
            return site
    host = f"[{parsed.host}]" if ":" in parsed.host else parsed.host.removeprefix("www.")
    return host if parsed.port is None else f"{host}:{parsed.port}"


def domains_of(url: str) -> tuple[str, ...]:
    """Return the domains of a URL's site: those of the table, else its host.

    Raises:
        InvalidUrl: not an http(s) URL.
    """
    site = site_of(url)
    listed = tuple(domain for domain, first in _SITES.items() if first == site)
    return listed or (parse_url(url).host.removeprefix("www."),)


def site_code(site: str) -> str:
    """Return the name of a site for the permanent log of events: the hash of an unlisted host."""
    return site if site in _SITES else f"host-{short_hash(site.encode())}"
