"""One spelling for each URL, and reasons for what is none."""

import pytest

from ytcaption.domain.errors import InvalidUrl
from ytcaption.domain.media.urls import parse_url

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("given", "canonical"),
    [
        ("HTTP://Example.COM", "http://example.com/"),
        ("https://example.com:443/a?b=c#d", "https://example.com/a?b=c"),
        ("http://example.com:443/", "http://example.com:443/"),
        ("  https://example.com/a \n", "https://example.com/a"),
        ("https://example.com./a", "https://example.com/a"),
        ("https://example.com/a/../b/./c/%2e%2e/d", "https://example.com/b/d"),
        ("https://example.com/../..", "https://example.com/"),
        ("https://example.com/%7euser/%c3%a9", "https://example.com/~user/%C3%A9"),
        ("https://example.com/é?q=ü", "https://example.com/%C3%A9?q=%C3%BC"),
        ("https://example.com/100%?%", "https://example.com/100%25?%25"),
        ("https://example.com/a//b?x=%2F&y=a+b", "https://example.com/a//b?x=%2F&y=a+b"),
        ("https://bücher.example/", "https://xn--bcher-kva.example/"),
        ("http://2130706433/", "http://127.0.0.1/"),
        ("http://0x7f.1/", "http://127.0.0.1/"),
        ("http://0177.0.0.1/", "http://127.0.0.1/"),
        ("http://127.1/", "http://127.0.0.1/"),
        ("http://１２７.０.０.１/", "http://127.0.0.1/"),
        ("http://[0:0::1]:8080/", "http://[::1]:8080/"),
    ],
)
def test_a_url_has_one_spelling(given: str, canonical: str) -> None:
    """Equal URLs become equal text, and parsing that again changes nothing."""
    assert str(parse_url(given)) == canonical
    assert str(parse_url(canonical)) == canonical


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("", "empty"),
        ("   ", "empty"),
        ("dQw4w9WgXcQ", "not an http or https URL"),
        ("youtube.com/watch?v=dQw4w9WgXcQ", "such as https://youtube.com/watch"),
        ("ytsearch:cats", "Searches"),
        ("ytsearchall:cats", "Searches"),
        ("scsearch5:cats", "Searches"),
        (":ytfav", "Searches"),
        ("ytuser:somebody", "Searches"),
        ("file:///etc/passwd", "kind file:"),
        ("data:audio/mpeg;base64,AAAA", "kind data:"),
        ("ftp://example.com/a.mp3", "kind ftp:"),
        ("javascript:alert(1)", "kind javascript:"),
        ("http:example.com", "two slashes"),
        ("http:/example.com/", "two slashes"),
        ("http:", "two slashes"),
        ("http://", "no host"),
        ("http:///a", "no host"),
        ("https://user:secret@example.com/", "user name or password"),
        ("https://user@example.com/", "user name or password"),
        ("https://example.com/a b", "space"),
        ("https://example.com/\x00", "invisible"),
        ("https://example.com/a\r\nX: y", "invisible"),
        ("https://exam\u200bple.com/", "invisible"),
        ("https://example.com\\@10.0.0.1/", "backslash"),
        ("https://example.com:99999/", "port"),
        ("https://example.com:0/", "no host"),
        ("https://example.com:x/", "port"),
        ("http://1.2.3.4.5/", "IPv4"),
        ("http://999.1.1.1/", "IPv4"),
        ("http://[::1/", "host"),
        ("http://[fe80::1%25eth0]/", "zone"),
        ("http://a..b/", "not a valid name"),
        ("http://-a.example/", "not a valid name"),
        ("http://a%2eb.example/", "not a valid name"),
        ("https://example.com/" + "a" * 2048, "longer than 2,048"),
        ("https://example.com/" + "é" * 1000, "longer than 2,048"),
    ],
)
def test_what_is_no_url_is_refused_with_a_reason(given: str, says: str) -> None:
    """Each kind of bad input has its own sentence, and nothing secret is repeated."""
    with pytest.raises(InvalidUrl, match=says) as caught:
        parse_url(given)
    assert "secret" not in str(caught.value)


def test_parameters_of_sharing_are_dropped_and_no_other() -> None:
    """`utm_*` and its like go, what names the media stays as it was written."""
    url = parse_url("https://example.com/a?id=%20x&utm_source=m&si=1&fbclid=2&side=b&t=3")
    assert str(url.without_tracking()) == "https://example.com/a?id=%20x&side=b&t=3"
