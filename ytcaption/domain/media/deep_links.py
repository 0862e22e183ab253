"""Links that open a media item at a given second."""

from urllib.parse import urlsplit

from ytcaption.domain.media.media import MediaSource

_FRAGMENT = "{url}#t={second}"
_FORMS = {
    "www.youtube.com": "{url}&t={second}s",
    "vimeo.com": "{url}#t={second}s",
    "www.dailymotion.com": "{url}?start={second}",
    "www.twitch.tv": "{url}?t={second}s",
}
"""How sites write a second into a URL, by the host of their canonical URLs."""


def link_at(source: MediaSource, start_s: float) -> str | None:
    """Return the media's URL at a second, where its site or file supports that; None for an upload.

    A media file gets a media fragment (https://www.w3.org/TR/media-frags/), which browsers honour.
    """
    if source.url is None:
        return None
    form = _FORMS.get(urlsplit(source.url).hostname or "") if source.kind == "site" else _FRAGMENT
    if form is None or ("?" in source.url and "?" in form):
        return source.url
    return form.format(url=source.url, second=int(start_s))
