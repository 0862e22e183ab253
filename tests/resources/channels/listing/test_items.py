"""Entries of any list as items, whatever their fields hold."""

from typing import Any

import pytest

from resources.channels.listing.items import ItemMaker
from resources.channels.listing.source import channel_source
from resources.channels.listing.ytdlp_lists import about_list, list_entry
from resources.download.protocol import ListEntry, ListPage, encode, read_listing_event
from ytcaption.domain.channels.channel import ListedItem

pytestmark = pytest.mark.unit

VIDEO = {"_type": "url", "url": "https://www.youtube.com/watch?v=dQw4w9WgXcQ", "title": "A talk"}


def listed(entry: dict[str, Any]) -> ListedItem:
    """Return the item of yt-dlp's entry, as the process that reads lists passes it on."""
    line = encode(ListPage((list_entry(entry),), 0, False))
    event = read_listing_event(line)
    assert isinstance(event, ListPage)
    return made(event.items[0])


def made(entry: ListEntry) -> ListedItem:
    source = channel_source("https://www.youtube.com/@talks", sites=["youtube"])
    item = ItemMaker(source, ["youtube"], [])(entry)
    assert item is not None
    return item


@pytest.mark.parametrize(
    "fields",
    [
        {"timestamp": 10**400},
        {"timestamp": float("nan")},
        {"upload_date": 20260101},
        {"duration": 10**400},
        {"filesize": 10**30},
        {"filesize": 1 << 20_000},
        {"availability": [], "live_status": {}},
    ],
    ids=lambda fields: "-".join(fields),
)
def test_a_field_that_holds_anything_is_left_out(fields: dict[str, Any]) -> None:
    """The item is listed without it."""
    item = listed(VIDEO | fields)
    assert (item.source.media_id, item.unavailable) == ("youtube-dQw4w9WgXcQ", None)
    assert item.published_at is item.duration_s is item.audio_bytes is None


@pytest.mark.parametrize(
    "entry",
    [
        {"_type": "url"},
        {"_type": "url", "url": 5},
        {"_type": "url", "url": "http://[bad/"},
        {"_type": "url", "url": "https://exa\u2100mple.org/1.mp3"},
        {"_type": "url", "url": "https://example.org/#__youtubedl_smuggle=x"},
        {"url": "https://example.org:99999999/1.mp3"},
        {"formats": "ab"},
        {"formats": ["ab"]},
    ],
    ids=ascii,
)
def test_an_entry_without_a_url_that_can_be_read_is_counted(entry: dict[str, Any]) -> None:
    """It is an item with its reason; the others of the list are not touched."""
    assert listed(entry).unavailable == "invalid_url"


def test_half_of_a_surrogate_pair_is_replaced() -> None:
    """It could neither be hashed nor stored."""
    item = made(ListEntry("https://example.org/\ud800.mp3", title="A \ud800 talk"))
    assert item.source.title == "A talk"
    f"{item.source.media_id} {item.source.url}".encode()


def test_the_number_of_items_fits_its_column() -> None:
    """A list that claims more has none."""
    totals = [about_list({"playlist_count": count}).total for count in (7, 10**30, "7")]
    assert totals == [7, None, None]
