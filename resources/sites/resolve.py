"""Turns a submitted URL into a MediaSource, offline, with the patterns of yt-dlp's extractors."""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from resources.sites.domains import SITE_DOMAINS
from ytcaption.domain.errors import (
    BlockedAddress,
    InvalidUrl,
    PlaylistUrl,
    SetupError,
    UnsupportedSite,
)
from ytcaption.domain.media.addresses import is_allowed, is_in_networks
from ytcaption.domain.media.media import MediaSource, url_media_id
from ytcaption.domain.media.media_url import without_counters, without_signature
from ytcaption.domain.media.urls import WebUrl, parse_url
from ytcaption.domain.request import media_id
from ytcaption.settings.settings import Settings

ANY_SITE = "any"
GENERIC = "Generic"

# Extractors whose ids are unique on their site, and the canonical page of an id. Checked with
# yt-dlp 2026.10: the id is in the URL and alone names the media.
_UNIQUE = {
    "Dailymotion": ("dailymotion", "https://www.dailymotion.com/video/{}"),
    "TwitchVod": ("twitch", "https://www.twitch.tv/videos/{}"),
    "TikTok": ("tiktok", "https://www.tiktok.com/@_/video/{}"),
}
_LIST = re.compile(r".*(Playlist|Channel|User|Album|Series|Season|Collection|Set|Tag|Search(URL)?)")
_VIMEO_ID = re.compile(r"https?://(?:www\.)?vimeo\.com/([0-9]+)/?")


def resolve_source(
    url: str, *, sites: Sequence[str], allowed_networks: Sequence[str] = ()
) -> MediaSource:
    """Return the source that a submitted URL names; fetch nothing.

    Args:
        url: as a person typed it.
        sites: extractor names (`bbc`) and hosts (`media.ccc.de`) that yt-dlp may be used for, or
            `any`. Any other URL must be a media file: kind `direct`.
        allowed_networks: private CIDRs that may be reached, on any port.

    Raises:
        InvalidUrl: not one http(s) URL.
        BlockedAddress: a private address, or a port other than 80 and 443.
        PlaylistUrl: a list of media.
        UnsupportedSite: a page of a listed site that is no media.
    """
    parsed = without_counters(parse_url(url))
    check_target(parsed, allowed_networks)
    site = parsed.without_tracking()
    if any(site.is_within(name) for name in SITE_DOMAINS["youtube"]) and is_listed(site, sites):
        return _youtube(site)
    extractor = find_extractor(site, tuple(sites))
    if extractor is None:
        identity = str(without_signature(parsed))
        return MediaSource(url_media_id(identity), "direct", str(parsed), GENERIC)
    key = extractor.ie_key()
    if key == "Youtube":  # one of the other front ends to YouTube, with `any`
        return _youtube_video(extractor.get_temp_id(str(site)))
    if extractor._RETURN_TYPE == "playlist" and _LIST.fullmatch(key):
        raise PlaylistUrl("This link is a list of media. Give the link of one of them.")
    if key in _UNIQUE:
        prefix, page = _UNIQUE[key]
        native_id = extractor.get_temp_id(str(site))
        return MediaSource(media_id(prefix, native_id), "site", page.format(native_id), key)
    # Unlisted videos need the secret in their link, and embedded ones their player's page.
    if key == "Vimeo" and (match := _VIMEO_ID.fullmatch(str(site))):
        page = f"https://vimeo.com/{match[1]}"
        return MediaSource(media_id("vimeo", match[1]), "site", page, key)
    return MediaSource(url_media_id(str(site)), "site", str(site), key)


def check_sites(sites: Sequence[str]) -> None:
    """Check a list of sites. This loads yt-dlp's extractors (0.3 s).

    Raises:
        SetupError: an entry of the list is neither an extractor nor a host.
    """
    unknown = [entry for entry in sites if entry != ANY_SITE and not _domains(entry.lower())]
    if unknown:
        raise SetupError(
            f"YTCAPTION_SITES names sites that yt-dlp does not know: {', '.join(unknown)}. "
            "Give names of extractors or hosts."
        )


def warm_up(sites: Sequence[str]) -> None:
    """Load all that `resolve_source` needs (0.5 s), so that its first call is fast.

    Raises:
        SetupError: as `check_sites`.
    """
    check_sites(sites)
    resolve_source("https://www.youtube.com/watch?v=dQw4w9WgXcQ", sites=("youtube",))
    find_extractor(parse_url("https://example.com/"), (ANY_SITE,))


def check_target(url: WebUrl, allowed_networks: Sequence[str]) -> None:
    """Check whether a URL may be opened, as far as that is known before its host is resolved.

    Raises:
        BlockedAddress: a private address, or a port other than 80 and 443.
    """
    address, port = url.address, url.effective_port
    if address is not None:
        if is_in_networks(address, allowed_networks):
            return
        if not is_allowed(address):
            raise BlockedAddress(
                "The link leads to a private address. Only hosts of the public internet are opened"
                ", and networks that the setting YTCAPTION_ALLOWED_NETWORKS lists."
            )
    if port not in (80, 443) and not (address is None and allowed_networks):
        raise BlockedAddress(f"The link names port {port}. Only the ports 80 and 443 are opened.")


def _youtube(url: WebUrl) -> MediaSource:
    """Return the same media item for every form of link to a video of YouTube.

    Raises:
        PlaylistUrl, InvalidUrl, UnsupportedSite: the link is not to one video.
    """
    import yt_dlp.extractor

    parameters = url.parameters()
    inner = None
    if url.path == "/attribution_link":
        inner = parameters.get("u")
    elif url.host == "consent.youtube.com":
        inner = parameters.get("continue")
    if inner:
        path = inner if inner.startswith("/") else "/" + inner.partition("://")[2].partition("/")[2]
        return _youtube(parse_url(f"https://www.youtube.com{path}").without_tracking())
    # Other parameters, such as a list or a start time, do not identify the video.
    query = f"?v={parameters['v']}" if parameters.get("v") else ""
    bare = f"https://{url.host}{url.path}{query}"
    video: Any = yt_dlp.extractor.get_info_extractor("Youtube")
    if video.suitable(bare):
        return _youtube_video(video.get_temp_id(bare))
    matching = next((ie for ie in _extractors() if ie.suitable(str(url))), None)
    key = matching.ie_key() if matching is not None else ""
    if key == "YoutubeTruncatedID" or url.path in ("/watch", "/watch/"):
        raise InvalidUrl("The link has no complete YouTube video id, which has 11 characters.")
    if key == "YoutubeClip":
        raise UnsupportedSite("Clips are not supported. Give the link of the whole video.")
    if key:
        raise PlaylistUrl(
            "This link is a YouTube channel, playlist or search. Give the link of one video."
        )
    raise UnsupportedSite("This page of YouTube is no video. Give a link such as youtu.be/<id>.")


def _youtube_video(video_id: str) -> MediaSource:
    page = f"https://www.youtube.com/watch?v={video_id}"
    return MediaSource(media_id("youtube", video_id), "site", page, "Youtube")


def is_listed(url: WebUrl, sites: Sequence[str]) -> bool:
    """Return whether the URL's host belongs to a site of the list."""
    return ANY_SITE in sites or any(
        url.is_within(domain) for entry in sites for domain in _domains(entry.lower())
    )


def find_extractor(url: WebUrl, sites: tuple[str, ...]) -> Any | None:
    """Return the class of the extractor that the URL may use; None for a direct URL."""
    text = str(url)
    if ANY_SITE in sites:
        return next((ie for ie in _extractors() if ie.suitable(text)), None)
    for entry in sites:
        entry = entry.lower()
        domain = next((name for name in _domains(entry) if url.is_within(name)), None)
        if domain is None:
            continue
        for ie in _extractors():
            # A host that the settings name may use any extractor; another host only its site's own.
            trusted = domain == entry and entry not in SITE_DOMAINS
            if ie.suitable(text) and (trusted or _is_of(ie, domain)):
                return ie
    return None


@lru_cache(maxsize=1)
def _extractors() -> tuple[Any, ...]:
    """Return yt-dlp's extractor classes in its order, without the generic one."""
    from yt_dlp.extractor import gen_extractor_classes

    return tuple(ie for ie in gen_extractor_classes() if ie.ie_key() != GENERIC)


@lru_cache(maxsize=512)
def _domains(entry: str) -> tuple[str, ...]:
    """Return the domains of an entry of the site list in lower case; empty for an unknown one."""
    if entry in SITE_DOMAINS:
        return SITE_DOMAINS[entry]
    matching = [ie for ie in _extractors() if _is_named(ie, entry)]
    hosts = {host for ie in matching for host in _hosts(ie)}
    return (*sorted(hosts), *((entry,) if "." in entry else ()))


def _is_named(extractor: Any, entry: str) -> bool:
    names = (extractor.IE_NAME.lower(), extractor.ie_key().lower())
    return any(name.startswith(entry) for name in names)


def _is_of(extractor: Any, domain: str) -> bool:
    return any(host == domain or host.endswith(f".{domain}") for host in _hosts(extractor))


@lru_cache(maxsize=2048)
def _hosts(extractor: Any) -> tuple[str, ...]:
    """Return the hosts of the extractor's own test URLs, without `www.`."""
    hosts = set()
    for case in extractor.get_testcases(include_onlymatching=True):
        try:
            hosts.add(parse_url(case["url"]).host.removeprefix("www."))
        except InvalidUrl:  # keywords such as `ytsearch:`
            continue
    return tuple(sorted(hosts))


def checked_url(text: str, settings: Settings) -> str:
    """Return the URL if deliveries may go there, as far as that is known before it is resolved.

    Raises:
        InvalidUrl, BlockedAddress: they may not.
    """
    url = parse_url(text)
    check_target(url, settings.download.allowed_networks)
    return str(url)
