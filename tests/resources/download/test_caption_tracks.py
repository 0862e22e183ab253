"""The caption tracks in yt-dlp's description, in the shapes of YouTube's extractor."""

import json
from typing import Any

import pytest

from resources.download.caption_tracks import MAX_TRACKS, caption_offers, track_formats
from tests.support.servers.media_server import DATA
from ytcaption.domain.caption_choice import CaptionOffers, CaptionsWanted, choose_captions

FOUND = json.loads((DATA / "youtube-captions.json").read_text())


def test_youtube_lists_manual_automatic_and_translated_tracks() -> None:
    """`tlang`, `French from English` and `en-de` are machine translations; a chat is no track."""
    assert caption_offers(FOUND) == CaptionOffers(
        manual=("en-GB", "de-nP7-2PuUl7o"),
        automatic=("en-orig", "en"),
        translated=("es", "fr-en-GB", "en-de"),
    )


@pytest.mark.parametrize(
    ("wanted", "kind", "ends"),
    [
        (CaptionsWanted("prefer"), "manual", ["lang=en-GB&fmt=json3", "lang=en-GB&fmt=vtt"]),
        (
            CaptionsWanted("only", "de"),
            "translated",
            ["name=Fassung&fmt=json3", "name=Fassung&fmt=vtt"],
        ),
        (CaptionsWanted("only", "es"), None, []),
        (CaptionsWanted("prefer_any", "fr"), None, []),
    ],
)
def test_the_chosen_track_is_fetched_in_the_best_format(
    wanted: CaptionsWanted, kind: str | None, ends: list[str]
) -> None:
    """json3 before WebVTT, and nothing of a language that only a machine has made."""
    choice = choose_captions(wanted, FOUND["language"], caption_offers(FOUND))
    assert choice.kind == kind
    urls = [each["url"] for each in track_formats(FOUND, choice)] if choice.kind else []
    assert [url[-len(end) :] for url, end in zip(urls, ends, strict=True)] == ends


def test_automatic_captions_are_used_without_manual_ones() -> None:
    """The automatic ones of YouTube, not those of `en-de`."""
    found = FOUND | {"subtitles": {}}
    choice = choose_captions(CaptionsWanted("prefer_any"), "en", caption_offers(found))
    assert (choice.kind, choice.track) == ("automatic", "en")
    assert all("kind=asr" in each["url"] for each in track_formats(found, choice))


@pytest.mark.parametrize(
    "listed",
    [None, [], "x", {"en": None}, {"en": [None, {"ext": "vtt"}, {"ext": ["vtt"], "url": "u"}]}],
)
def test_odd_shapes_are_no_tracks(listed: Any) -> None:
    """Sites may give any shape."""
    assert caption_offers({"subtitles": listed, "automatic_captions": listed}) == CaptionOffers()


def test_names_and_numbers_are_bounded() -> None:
    """Codes become part of documents: only codes, and a limited number."""
    track = [{"ext": "vtt", "url": "https://example.org/x.vtt"}]
    tracks = {"../etc": track, "x" * 300: track, "a\n": track}
    tracks |= {f"en-{number}": track for number in range(2 * MAX_TRACKS)}
    manual = caption_offers({"subtitles": tracks}).manual
    assert len(manual) < MAX_TRACKS and all(code.startswith("en-") for code in manual)
