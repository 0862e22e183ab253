"""Which media a link names: signatures and redirects that count downloads make no difference."""

import pytest

from ytcaption.domain.media.media_url import without_counters, without_signature
from ytcaption.domain.media.urls import parse_url

pytestmark = pytest.mark.unit

FILE = "https://traffic.example.com/show/1.mp3"


@pytest.mark.parametrize(
    "counted",
    [
        FILE,
        "https://dts.podtrac.com/redirect.mp3/traffic.example.com/show/1.mp3",
        "https://www.podtrac.com/pts/redirect.mp3/traffic.example.com/show/1.mp3",
        "https://pdst.fm/e/chtbl.com/track/AB12/traffic.example.com/show/1.mp3",
        "https://op3.dev/e,pg=6d7a/https://traffic.example.com/show/1.mp3",
        "https://op3.dev/e/traffic.example.com/show/1.mp3",
        "https://media.blubrry.com/name/traffic.example.com/show/1.mp3",
        "https://pscrb.fm/rss/p/mgln.ai/e/27/pdst.fm/e/traffic.example.com/show/1.mp3",
        "https://2.gum.fm/traffic.example.com/show/1.mp3",
    ],
)
def test_a_counter_names_the_file_behind_it(counted):
    """Any chain of known counters is the file's own address."""
    assert str(without_counters(parse_url(counted))) == FILE


@pytest.mark.parametrize(
    "url",
    [
        "https://pdst.fm/e/10.0.0.1/a.mp3",
        "https://pdst.fm/e/localhost/a.mp3",
        "https://pdst.fm.example.com/e/traffic.example.com/1.mp3",
        "https://pdst.fm/other/traffic.example.com/1.mp3",
        "https://example.com/redirect.mp3/traffic.example.com/1.mp3",
    ],
)
def test_all_else_stays_as_it_is(url):
    """An address that is no public name is not taken out of a link, nor one behind other hosts."""
    assert str(without_counters(parse_url(url))) == url


def test_a_query_belongs_to_the_file():
    """What a file is asked with is kept."""
    url = parse_url("https://pdst.fm/e/traffic.example.com/a.mp3?id=3")
    assert str(without_counters(url)) == "https://traffic.example.com/a.mp3?id=3"


def test_a_signature_names_nothing():
    """Signed today or tomorrow, it is the same file; other parameters name another one."""
    url = "https://bucket.s3.amazonaws.com/a.mp3?id=3"
    signed = f"{url}&X-Amz-Date=20260101T000000Z&X-Amz-Signature=ab&Expires=1"
    assert str(without_signature(parse_url(signed))) == url
    assert str(without_signature(parse_url(url.replace("3", "4")))) != url
