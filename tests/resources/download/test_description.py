"""The untrusted description of a media item, cleaned."""

import pytest

from resources.download.description import file_title, media_info
from ytcaption.domain.media.media import Chapter

pytestmark = pytest.mark.unit

PAGE = "https://www.youtube.com/watch?v=dQw4w9WgXcQ"


def test_what_a_site_says_is_taken_over() -> None:
    """The fields people look at, in our types."""
    info = media_info(
        {
            "title": "A talk",
            "channel": "A channel",
            "channel_id": "UC1",
            "uploader": "Somebody",
            "upload_date": "20240229",
            "duration": 61,
            "language": "pt-BR",
            "thumbnail": "https://i.example/a.webp?x=1",
            "webpage_url": PAGE,
            "chapters": [{"start_time": 0, "end_time": 30.5, "title": "Intro"}],
        },
        PAGE,
        direct=False,
    )
    assert (info.title, info.channel, info.channel_id) == ("A talk", "A channel", "UC1")
    assert (info.upload_date, info.duration_s, info.language) == ("2024-02-29", 61.0, "pt-BR")
    assert info.thumbnail_url == "https://i.example/a.webp?x=1"
    assert info.chapters == (Chapter(0.0, 30.5, "Intro"),)


def test_hostile_values_are_cleaned_or_dropped() -> None:
    """Control and bidi characters, other schemes, wrong types and endless texts do not get in."""
    info = media_info(
        {
            "title": "a\x00b\u202ec\nd\u2028e" + "x" * 5000,
            "channel": ["not", "text"],
            "uploader": "\ud800\x07 \t",
            "upload_date": "20241399",
            "duration": float("inf"),
            "language": "en'; drop table",
            "thumbnail": "javascript:alert(1)",
            "webpage_url": "file:///etc/passwd",
            "chapters": [
                {"start_time": 5, "end_time": 2, "title": "backwards"},
                {"start_time": 0, "end_time": float("nan"), "title": "no end"},
                {"start_time": 0, "end_time": 1, "title": "\x1b"},
                "no chapter",
                *[{"start_time": n, "end_time": n + 1, "title": "c"} for n in range(5000)],
            ],
        },
        PAGE,
        direct=False,
    )
    assert info.title is not None and info.title.startswith("a bc d ex") and len(info.title) == 500
    assert (info.channel, info.upload_date, info.duration_s, info.language) == (None,) * 4
    assert (info.thumbnail_url, info.webpage_url) == (None, PAGE)
    assert len(info.chapters) < 1000 and {chapter.title for chapter in info.chapters} == {"c"}


def test_a_direct_media_is_named_by_its_file() -> None:
    """The file's name, the folder's where that says nothing, else the host."""
    titles = {
        "https://a.example/x/My%20talk%20(1).mp3?sig=1": "My talk (1)",
        "https://a.example/x/no-extension": "no-extension",
        "https://a.example/show-12/index.m3u8": "show-12",
        "https://a.example/v1.2.3/notes.tar.gz": "notes.tar",
        "https://a.example/": "a.example",
        "https://a.example/index.m3u8": "a.example",
        "https://a.example/%00%0a.mp3": "a.example",
    }
    assert {url: file_title(url) for url in titles} == titles
    info = media_info({"title": "Site's", "upload_date": "20240101"}, PAGE, direct=True)
    assert (info.title, info.upload_date) == ("watch", None)
