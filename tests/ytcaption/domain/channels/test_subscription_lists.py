"""Lists of channels that other programs have written."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ytcaption.domain.channels.subscription_export import Subscription, to_csv, to_opml
from ytcaption.domain.channels.subscription_lists import ListedChannel, read_channels
from ytcaption.domain.errors import InvalidOption

pytestmark = pytest.mark.unit

AT = datetime(2026, 11, 24, 10, tzinfo=UTC)
CHANNEL = "UCuAXFkgsw1L7xaCfnd5JJOw"


def urls(data: str | bytes) -> list[str]:
    return [each.url for each in read_channels(data.encode() if isinstance(data, str) else data)]


def test_opml_with_folders_in_folders() -> None:
    """Every outline with an address, however deep, with its line; folders and Overcast's episodes
    are none."""
    read = read_channels(b"""\xef\xbb\xbf<?xml version="1.0" encoding="utf-8"?>
<opml version="1.0"><head><title>Overcast Podcast Subscriptions</title></head><body>
  <outline text="Science"><outline text="Physics">
    <outline type="rss" text="In Our Time &amp; more" xmlUrl="https://example.org/a.xml?x=1&amp;y=2">
      <outline type="podcast-episode" title="One" url="https://example.org/1"/>
    </outline></outline></outline>
  <outline text="old" XMLURL='https://example.org/b.xml' title="B" />
  <outline text="page only" htmlUrl="https://www.youtube.com/@tagesschau"/>
</body></opml>""")

    assert read == [
        ListedChannel(4, "https://example.org/a.xml?x=1&y=2", "In Our Time & more"),
        ListedChannel(7, "https://example.org/b.xml", "B"),
        ListedChannel(8, "https://www.youtube.com/@tagesschau", "page only"),
    ]


def test_opml_that_is_no_xml_is_read_all_the_same() -> None:
    """A bare ampersand, an outline cut off, an outline twice as broken: the others are there."""
    lines = ['<opml><body><outline xmlUrl="https://example.org/0"/>'] + [
        f'<outline xmlUrl="https://example.org/{number}?a=1&b=2" text="<{number}>"/>'
        for number in range(1, 400)
    ]
    lines[200] = "<outline <<< xmlUrl= & text"

    found = urls("\n".join(lines))

    assert len(found) >= 398
    assert found[0] == "https://example.org/0" and found[-1] == "https://example.org/399?a=1&b=2"


def test_entities_of_a_document_are_not_expanded() -> None:
    """Neither a bomb nor a file of this machine: the name stays as it is."""
    bomb = "".join(f'<!ENTITY e{number} "{f"&e{number - 1};" * 10}">' for number in range(1, 12))
    text = (
        f'<?xml version="1.0"?><!DOCTYPE opml [<!ENTITY e0 "ha"><!ENTITY f SYSTEM "file:///etc/passwd">'
        f'{bomb}]><opml><body><outline text="&f;" xmlUrl="https://example.org/&e11;"/></body></opml>'
    )

    (read,) = read_channels(text.encode())

    assert (read.url, read.title) == ("https://example.org/&e11;", "&f;")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "iso-8859-1"])
def test_opml_says_its_encoding(encoding: str) -> None:
    """As its first line, or its first bytes, say."""
    text = (
        f'<?xml version="1.0" encoding="{encoding}"?><outline text="Grüße" xmlUrl="https://a.de/"/>'
    )

    assert read_channels(text.encode(encoding))[0].title == "Grüße"


def test_a_link_a_line() -> None:
    """Comments, blank lines and what surrounds a link are left out; short names of YouTube are
    spelled out, and text that is no link is returned as it is, to be refused later."""
    read = read_channels(
        f"""# mine
https://www.youtube.com/@tagesschau   # news

  @veritasium
{CHANNEL},
PL96C35uN7xGLLeET0dOWaKHkAlPsrkcha
https://example.org/feed#1
no link
""".encode()
    )

    assert [(each.line, each.url) for each in read] == [
        (2, "https://www.youtube.com/@tagesschau"),
        (4, "https://www.youtube.com/@veritasium"),
        (5, f"https://www.youtube.com/channel/{CHANNEL}"),
        (6, "https://www.youtube.com/playlist?list=PL96C35uN7xGLLeET0dOWaKHkAlPsrkcha"),
        (7, "https://example.org/feed#1"),
        (8, "no link"),
    ]


def test_takeouts_csv() -> None:
    """In any language of its first line; a quotation mark too few costs its own line only."""
    read = read_channels(
        f"""Kanal-ID,Kanal-URL,Kanaltitel
{CHANNEL},http://www.youtube.com/channel/{CHANNEL},"Grüße, Welt"
x,"http://www.youtube.com/channel/broken,Broken
y,http://www.youtube.com/channel/next,'=Next
""".encode()
    )

    assert [(each.line, each.title) for each in read] == [
        (2, "Grüße, Welt"),
        (3, None),
        (4, "=Next"),
    ]
    assert read[2].url == "http://www.youtube.com/channel/next"


def test_json_of_newpipe_tube_archivist_and_freetube() -> None:
    """What is subscribed to; Tube Archivist's index holds other channels, too."""
    link = f"https://www.youtube.com/channel/{CHANNEL}"
    newpipe = {"app_version": "0.27", "subscriptions": [{"url": link, "name": "A"}]}
    assert read_channels(json.dumps(newpipe).encode()) == [ListedChannel(1, link, "A")]
    answer = {"data": [
        {"channel_id": CHANNEL, "channel_subscribed": True, "channel_name": "A"},
        {"channel_id": "UCother", "channel_subscribed": False},
        {"playlist_id": "PL96C35uN7xGLLeET0dOWaKHkAlPsrkcha", "playlist_subscribed": True},
    ], "paginate": {}}  # fmt: skip
    assert len(urls(json.dumps(answer))) == 2
    backup = "\n".join(
        [
            '{"index": {"_index": "ta_channel", "_id": "x"}}',
            json.dumps(answer["data"][0]),
            "{cut off",
            json.dumps({"_id": "all", "subscriptions": [{"id": CHANNEL, "name": "B"}]}),
        ]
    )
    assert urls(backup) == [link, "{cut off", link]


def test_what_is_no_list() -> None:
    """A sentence that says what would be one; the empty file has nothing in it."""
    with pytest.raises(InvalidOption, match="not text"):
        read_channels(b"SQLite format 3\x00")
    with pytest.raises(InvalidOption, match="16 MiB"):
        read_channels(b"#" * ((16 << 20) + 1))
    assert read_channels(b"") == []
    assert urls("[" * 100_000)  # no RecursionError


@given(
    titles=st.lists(st.text(min_size=1, max_size=30), max_size=5),
    pattern=st.text(max_size=30),
)
def test_what_is_exported_is_read_again(titles: list[str], pattern: str) -> None:
    """From OPML: the link, not its feed, and how it was wanted, whatever the texts hold."""
    settings = {"filters": {"title_include": pattern}, "max_items": 5}
    channels = [
        Subscription(
            id=f"c{number}",
            url=f"https://example.org/{number}?a=1&b=2",
            feed_url=f"https://example.org/{number}.xml",
            title=title,
            added_at=AT,
            settings=settings,
        )
        for number, title in enumerate(titles)
    ]

    read = read_channels(to_opml(channels, AT).encode("utf-8", "surrogatepass"))

    assert [each.url for each in read] == [each.url for each in channels]
    assert all(each.settings == settings for each in read)
    assert [each.url for each in read_channels(to_csv(channels).encode("utf-8", "replace"))] == [
        each.url for each in channels
    ]


def test_csv_holds_no_formula() -> None:
    """Rule 22: a title that a spreadsheet would run gets an apostrophe; all stay on a line."""
    text = to_csv(
        [
            Subscription(
                "c", "https://a.de/", AT, '=cmd|" /C calc"!A0', None, "paused", AT, "+1\n-2",
                {}, {"queued": 3},
            )
        ]
    )  # fmt: skip

    head, row = text.splitlines()
    assert head == "url,title,id,feed_url,state,added_at,listed_at,error,settings,queued"
    assert "\"'=cmd|" in row and "'+1 -2" in row and row.endswith(",{},3")
