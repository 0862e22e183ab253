"""A submitted URL as a ChannelSource, without network access."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from resources.download.extensions import EXTENSIONS
from resources.sites.domains import SITE_DOMAINS
from resources.sites.resolve import GENERIC, check_target, find_extractor, is_listed
from ytcaption.domain.channels.channel import ChannelSource
from ytcaption.domain.errors import InvalidUrl, SingleMedia, UnsupportedSite
from ytcaption.domain.media.media import url_media_id
from ytcaption.domain.media.urls import WebUrl, parse_url
from ytcaption.domain.request import media_id

YOUTUBE = "https://www.youtube.com"
YOUTUBE_LIST = "YoutubeTab"
_FEED = f"{YOUTUBE}/feeds/videos.xml"
# A channel's id is UC and 22 characters; these prefixes with the same 22 are its tabs' lists.
_TAB_LISTS = {"videos": "UULF", "shorts": "UUSH", "streams": "UULV"}
_WHOLE_CHANNEL_TABS = ("", "featured", "about", "community", "playlists", "releases", "podcasts")
_PERSONAL_LISTS = ("WL", "LL", "LM", "RD", "UL", "FL")
_ONE_VIDEO = "This is a single video, not a channel: request a transcription of it."
ONE_FILE = "This is one media file: request it as a transcription."


def channel_source(
    url: str, *, sites: Sequence[str], allowed_networks: Sequence[str] = ()
) -> ChannelSource:
    """Return the list that a submitted URL names; nothing is fetched.

    A URL on no listed site is taken for a feed, unless it ends as media files do; the first listing
    shows whether it is one.

    Args:
        url: as the user entered it.
        sites: see `resolve_source`.
        allowed_networks: private CIDRs that may be reached, on any port.

    Raises:
        InvalidUrl, BlockedAddress: see `resolve_source`.
        SingleMedia: the URL is one media item.
        UnsupportedSite: a page of a listed site that is not a list.
    """
    parsed = parse_url(url)
    check_target(parsed, allowed_networks)
    site = parsed.without_tracking()
    if any(site.is_within(name) for name in SITE_DOMAINS["youtube"]) and is_listed(site, sites):
        return _youtube(site)
    extractor = find_extractor(site, tuple(sites))
    canonical = str(site if extractor is not None else parsed)
    if extractor is None:
        if parsed.path.lower().rpartition(".")[2] in EXTENSIONS:
            raise SingleMedia(ONE_FILE)
        return ChannelSource(url_media_id(canonical), "feed", canonical, GENERIC, canonical)
    if extractor._RETURN_TYPE == "video":
        raise SingleMedia(_ONE_VIDEO)
    return ChannelSource(url_media_id(canonical), "site", canonical, extractor.ie_key())


def youtube_channel(channel_id: str, tab: str = "", title: str | None = None) -> ChannelSource:
    """Return a YouTube channel by id (`UC...`), or its tab `videos`, `shorts` or `streams`."""
    page = f"{YOUTUBE}/channel/{channel_id}"
    if not tab:
        feed = f"{_FEED}?channel_id={channel_id}"
        return ChannelSource(
            media_id("youtube", channel_id), "site", page, YOUTUBE_LIST, feed, title
        )
    tab_list = _TAB_LISTS[tab] + channel_id.removeprefix("UC")
    feed = f"{_FEED}?playlist_id={tab_list}"
    return ChannelSource(
        media_id("youtube", tab_list), "site", f"{page}/{tab}", YOUTUBE_LIST, feed, title
    )


def youtube_tab(url: str) -> str:
    """Return the channel tab in a canonical YouTube URL; empty for the whole channel."""
    last = parse_url(url).path.rpartition("/")[2]
    return last if last in _TAB_LISTS else ""


def _youtube(url: WebUrl) -> ChannelSource:
    """Return one source for every form of link to a channel or playlist.

    Raises:
        SingleMedia, InvalidUrl, UnsupportedSite: the link is neither.
    """
    import yt_dlp.extractor

    parameters = url.parameters()
    if url.path == "/feeds/videos.xml":
        if parameters.get("channel_id"):
            return youtube_channel(parameters["channel_id"])
        if parameters.get("playlist_id"):
            return _playlist(parameters["playlist_id"])
    if parameters.get("list"):
        return _playlist(parameters["list"])
    video: Any = yt_dlp.extractor.get_info_extractor("Youtube")
    if video.suitable(str(url)):
        raise SingleMedia(_ONE_VIDEO)
    bare = replace(url, host="www.youtube.com", query="")
    channel: Any = yt_dlp.extractor.get_info_extractor(YOUTUBE_LIST)
    parts = [part for part in bare.path.split("/") if part]
    first_part = parts[0] if parts else ""
    if not channel.suitable(str(bare)) or first_part in ("feed", "results", "hashtag", "watch"):
        raise UnsupportedSite(
            "This YouTube page is not a channel or playlist. Give a link such as "
            f"{YOUTUBE}/@name or {YOUTUBE}/playlist?list=<id>."
        )
    length = 2 if first_part in ("channel", "c", "user", "browse") else 1
    tab = parts[length] if len(parts) > length else ""
    if len(parts) < length or (tab not in _WHOLE_CHANNEL_TABS and tab not in _TAB_LISTS):
        raise UnsupportedSite(
            f"The channel tab {tab[:40]!r} cannot be listed. Give the channel itself, or its tab "
            "videos, shorts or streams."
        )
    tab = tab if tab in _TAB_LISTS else ""
    if first_part in ("channel", "browse"):
        return youtube_channel(parts[1], tab)
    # Names are case-insensitive; the first listing shows their id.
    name = "/".join(parts[:length]).lower()
    page = f"{YOUTUBE}/{name}" + (f"/{tab}" if tab else "")
    return ChannelSource(media_id("youtube", f"{name}/{tab}"), "site", page, YOUTUBE_LIST)


def _playlist(list_id: str) -> ChannelSource:
    if list_id.startswith(_PERSONAL_LISTS):
        raise UnsupportedSite(
            "This list is personal (a mix, Watch later, Liked videos) and cannot be "
            "read by others. Give a public playlist."
        )
    if not list_id.replace("-", "").replace("_", "").isalnum() or not list_id.isascii():
        raise InvalidUrl("The link does not contain a whole id of a YouTube playlist.")
    if list_id.startswith("UU") and len(list_id) == 24:  # all uploads of a channel
        return youtube_channel(f"UC{list_id[2:]}")
    for tab, prefix in _TAB_LISTS.items():
        if list_id.startswith(prefix) and len(list_id) == 26:
            return youtube_channel(f"UC{list_id[len(prefix) :]}", tab)
    return ChannelSource(
        media_id("youtube", list_id),
        "site",
        f"{YOUTUBE}/playlist?list={list_id}",
        YOUTUBE_LIST,
        f"{_FEED}?playlist_id={list_id}",
    )
