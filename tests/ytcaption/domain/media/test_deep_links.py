"""Links that open a media item at a second."""

import pytest

from ytcaption.domain.media.deep_links import link_at
from ytcaption.domain.media.media import MediaSource

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("kind", "url", "link"),
    [
        (
            "site",
            "https://www.youtube.com/watch?v=dQw4w9WgXcQ",
            "https://www.youtube.com/watch?v=dQw4w9WgXcQ&t=83s",
        ),
        ("site", "https://vimeo.com/1", "https://vimeo.com/1#t=83s"),
        ("site", "https://www.twitch.tv/videos/1", "https://www.twitch.tv/videos/1?t=83s"),
        ("site", "https://www.bbc.co.uk/sounds/play/1", "https://www.bbc.co.uk/sounds/play/1"),
        ("direct", "https://example.org/a.mp3?x=1", "https://example.org/a.mp3?x=1#t=83"),
        ("direct", "https://vimeo.com/a.mp4", "https://vimeo.com/a.mp4#t=83"),
        ("upload", None, None),
    ],
)
def test_a_media_opens_at_a_second(kind, url: str | None, link: str | None) -> None:
    """By what its site understands, or by a media fragment; an upload has no address."""
    assert link_at(MediaSource("url-a", kind, url), 83.9) == link
