"""Messages between a run and its yt-dlp processes: complete, and no other line is accepted."""

import os
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from resources.download.protocol import (
    AudioDone,
    CaptionsDone,
    ClientIdentity,
    DownloadJob,
    Failed,
    FeedJob,
    FeedRead,
    ListAbout,
    ListDone,
    ListEntry,
    ListingJob,
    ListPage,
    MediaFound,
    NotAFeed,
    Progress,
    ReferenceFile,
    encode,
    read_download_event,
    read_download_job,
    read_listing_event,
    read_listing_job,
)
from resources.download.ytdlp_process import events_of
from tests.support.patience import patience
from ytcaption.domain.caption_choice import CaptionChoice, CaptionOffers, CaptionsWanted
from ytcaption.domain.errors import DownloadCrashed
from ytcaption.domain.media.media import Chapter, MediaInfo

pytestmark = pytest.mark.unit

IDENTITY = ClientIdentity(cookies="mine-alone", clients=("mweb", "-tv"), po_token_provider="a")
INFO = MediaInfo(
    title="half a pair: \ud800, two lines: \u2028",
    duration_s=1.5,
    chapters=(Chapter(0.0, 1.0, "One"),),
    captions=CaptionOffers(manual=("de",), automatic=("en-US",)),
)
CHOICE = CaptionChoice("There are none.", spoken_language="en")
JOB = DownloadJob(
    *("youtube-x", "https://youtu.be/x", "site", "Youtube", "http://a:b@127.0.0.1:1"),
    *(10**12, 3600.5, 20),
    captions=CaptionsWanted("prefer", "de"),
    with_audio=False,
    identity=IDENTITY,
)
LISTING = ListingJob(
    *("https://youtube.com/@x", "site", None, "http://a:b@127.0.0.1:1", 20, 10**4),
    each_list=True,
    identity=IDENTITY,
)
ENTRY = ListEntry("https://x/1", True, "\udfff", 1e9, 60.0, 10**12, "live", "private")


@pytest.mark.parametrize(
    ("message", "read"),
    [
        (JOB, read_download_job),
        (LISTING, read_listing_job),
        (FeedJob("https://x/feed"), read_listing_job),
        *(
            (event, read_download_event)
            for event in (
                MediaFound(),
                Progress(1, None),
                AudioDone("m4a", INFO, 10**12, CHOICE, ReferenceFile("vtt", "de")),
                AudioDone("bin", MediaInfo(), 1),
                CaptionsDone(INFO, CHOICE, None),
                Failed("source_blocked", "It refuses.", 60.5),
            )
        ),
        *(
            (event, read_listing_event)
            for event in (
                ListAbout("A", None, "UC1", 7),
                ListPage((ENTRY, ListEntry("https://x/2")), 100, True),
                FeedRead((ENTRY,), None, "https://x/feed?page=2"),
                NotAFeed(),
                ListDone(),
                Failed("internal_error", ""),
            )
        ),
    ],
)
def test_each_message_arrives_as_it_was_sent(message: Any, read: Callable[[bytes], Any]):
    """It is one line of ASCII."""
    line = encode(message)
    assert line.isascii() and line.count(b"\n") == 1 and line.endswith(b"\n")
    assert read(line) == message


@pytest.mark.parametrize(
    "line",
    [
        *(b"", b"\n", b"[]", b"{}", b"null", b"\xff", b'{"event": "found"', b"WARNING: text"),
        *(b'{"event": "unknown"}', b'{"event": "done"}', b'{"event": "progress", "done": "x"}'),
        b'{"event": "done", "extension": ["m4a"], "info": {}, "size_bytes": 1}',
        b'{"event": "done", "extension": "m4a", "info": {"chapters": [{}]}, "size_bytes": 1}',
        b'{"event": "page", "items": [], "start": 0, "has_more": false}',
    ],
)
def test_any_other_line_ends_the_download(line: bytes):
    """A process that untrusted pages have taken over cannot send other values."""
    with pytest.raises(ValueError):
        read_download_event(line)
    output, theirs = os.pipe()
    os.write(theirs, encode(Progress(1, 2)) + line + b"\n")
    os.close(theirs)
    with os.fdopen(output, "rb") as stdout:
        child: Any = SimpleNamespace(stdout=stdout)
        deadline = time.monotonic() + 30 * patience()
        events = events_of(child, read_download_event, lambda: False, deadline, "late")
        assert next(events) == Progress(1, 2)
        with pytest.raises(DownloadCrashed):
            next(events)


def test_secrets_are_in_no_message_to_people():
    """Neither in an error nor in the representation of a job."""
    line = encode(JOB).replace(b'"clients":["mweb","-tv"]', b'"clients":7')
    with pytest.raises(ValueError, match="1 fields") as caught:
        read_download_job(line)
    assert "mine-alone" not in f"{caught.value!r} {caught.value.__cause__!r}"
    assert caught.value.__suppress_context__
    for text in (repr(JOB), repr(LISTING)):
        assert "mine-alone" not in text and "a:b@" not in text
