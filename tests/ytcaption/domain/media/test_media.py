"""Media: ids from URLs and bytes, and what a source says of itself."""

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ytcaption.domain.media.media import Chapter, MediaInfo, upload_media_id, url_media_id
from ytcaption.domain.request import TranscriptionOptions, is_partition_key, partition_key

pytestmark = pytest.mark.unit

urls = st.text(min_size=1, max_size=60).map("https://example.org/{}".format)


@given(urls, urls)
def test_a_url_is_one_media(one: str, other: str):
    """Equal URLs, equal ids; the id says nothing of the URL and makes a key."""
    assert (url_media_id(one) == url_media_id(other)) == (one == other)
    assert len(url_media_id(one)) == len("url-") + 26
    assert is_partition_key(partition_key(url_media_id(one), TranscriptionOptions("base")))


@given(st.binary(max_size=50), st.binary(max_size=50))
def test_uploads_are_known_by_their_bytes(one: bytes, other: bytes):
    """The same file under two names is one media item."""
    ids = [upload_media_id(hashlib.sha256(data).hexdigest()) for data in (one, other)]
    assert (ids[0] == ids[1]) == (one == other)
    assert all(len(media) == len("upload-") + 26 for media in ids)


@pytest.mark.parametrize("sha256", ["", "abc", "zz" * 32, "00" * 31, "00" * 33])
def test_an_upload_needs_a_whole_hash(sha256: str):
    """A shorter one could be forged."""
    with pytest.raises(ValueError):
        upload_media_id(sha256)


def test_media_information_is_json():
    """Chapters and all other fields survive."""
    info = MediaInfo(title="<b>Ü & 漢</b>", duration_s=1.5, chapters=(Chapter(0.0, 1.5, "Start"),))
    data = json.loads(json.dumps(info.to_dict()))
    assert data["title"] == info.title
    chapters = tuple(Chapter(**chapter) for chapter in data.pop("chapters"))
    assert MediaInfo(**data, chapters=chapters) == info
