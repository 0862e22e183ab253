"""Captions by yt-dlp in its process, from a stream on loopback."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from resources.download.captions import TimeIsOver, _within
from resources.download.downloader import CaptionsFound, Download
from tests.resources.download.downloads import direct, downloader
from tests.support.servers.captions_server import (
    SAID,
    TRACK,
    serve_stream,
)
from tests.support.servers.media_server import MediaServer
from ytcaption.domain.caption_choice import CaptionsWanted
from ytcaption.domain.captions.track_parsing import MAX_TRACK_BYTES
from ytcaption.domain.errors import CaptionsUnavailable, SourceError


@pytest.fixture
def server() -> Iterator[MediaServer]:
    with MediaServer() as running:
        yield running


def fetch(
    url: str, folder: Path, wanted: CaptionsWanted, *, with_audio: bool = True
) -> Download | CaptionsFound:
    return downloader().captions_or_audio(
        direct(url), folder, wanted, lambda done, total: None, with_audio=with_audio
    )


@pytest.mark.long
def test_captions_are_fetched_and_no_audio(server: MediaServer, tmp_path: Path) -> None:
    """The track in the spoken language is fetched, with the reason, and no byte of audio."""
    url = serve_stream(server, {"de": TRACK, "en-US": TRACK})
    found = fetch(url, tmp_path, CaptionsWanted("prefer"))
    assert isinstance(found, CaptionsFound) and found.track is not None
    chosen = found.choice
    assert (chosen.kind, chosen.track, chosen.language) == ("manual", "en-US", "en")
    assert [each.text for each in found.track.segments("manual")] == list(SAID)
    assert found.info.captions is not None and found.info.captions.manual == ("de", "en-US")
    assert not [each.path for each in server.requests if each.path.endswith(".ts")]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("tracks", "spoken", "reason"),
    [
        ({}, "en", "The source has no captions in the spoken language."),
        ({"de": TRACK}, "en", "The source has no captions in the spoken language."),
        ({"en": TRACK}, None, "The source does not state the spoken language."),
        ({"en": None}, "en", "The captions cannot be fetched (media_not_found)."),
        ({"en": "WEBVTT\n\nno times"}, "en", "The captions hold no text that can be read."),
        (
            {"en": "WEBVTT\n\nNOTE " + "x" * MAX_TRACK_BYTES},
            "en",
            "The captions cannot be fetched (media_too_large).",
        ),
    ],
)
def test_without_captions_the_audio_comes(
    server: MediaServer, tmp_path: Path, tracks: dict[str, str | None], spoken: str, reason: str
) -> None:
    """The reason is reported, and the audio is downloaded."""
    found = fetch(serve_stream(server, tracks, spoken), tmp_path, CaptionsWanted("prefer"))
    assert isinstance(found, Download) and found.path.stat().st_size > 10_000
    assert list(tmp_path.glob("captions*")) == []
    assert found.choice is not None and found.choice.kind is None
    assert found.choice.reason == reason


@pytest.mark.slow
def test_captions_alone_or_a_failure(server: MediaServer, tmp_path: Path) -> None:
    """With `only` nothing is downloaded, and the failure says what is missing."""
    wanted = CaptionsWanted("only", "fr")
    with pytest.raises(CaptionsUnavailable, match="no captions in the wanted language"):
        fetch(serve_stream(server, {"en": TRACK}), tmp_path, wanted)
    with pytest.raises(SourceError) as caught:
        fetch(serve_stream(server, {"fr": None}), tmp_path, wanted)
    assert caught.value.code == "media_not_found"
    assert server.bytes_sent("/hls/jfk.flac/0.ts") == 0


@pytest.mark.slow
def test_nobody_wants_the_audio(server: MediaServer, tmp_path: Path) -> None:
    """Where the audio is stored already, no captions are an answer, too."""
    url = serve_stream(server, {"en": None})
    found = fetch(url, tmp_path, CaptionsWanted("prefer"), with_audio=False)
    assert isinstance(found, CaptionsFound) and found.track is None
    assert server.bytes_sent("/hls/jfk.flac/0.ts") == 0


def beside(url: str, folder: Path, wanted: CaptionsWanted) -> Download:
    found = downloader().captions_or_audio(
        direct(url), folder, None, lambda done, total: None, reference=wanted
    )
    assert isinstance(found, Download)
    return found


@pytest.mark.long
def test_captions_come_beside_the_audio(server: MediaServer, tmp_path: Path) -> None:
    """Those that people made in the language that is spoken, and the audio all the same."""
    url = serve_stream(server, {"de": TRACK, "en-US": TRACK})
    found = beside(url, tmp_path, CaptionsWanted("prefer", "en"))
    assert found.reference is not None and found.reference.language == "en"
    assert [each.text for each in found.reference.track.segments("manual")] == list(SAID)
    assert found.choice is None and found.size_bytes > 1_000
    assert found.info.captions is not None and found.info.captions.manual == ("de", "en-US")


@pytest.mark.slow
@pytest.mark.parametrize(
    "tracks", [{}, {"de": TRACK}, {"en": None}, {"en": "x" * (MAX_TRACK_BYTES + 1)}, {"en": "\0"}]
)
def test_without_captions_beside_it_the_audio_comes(
    server: MediaServer, tmp_path: Path, tracks: dict[str, str | None]
) -> None:
    """None, in another language, not there, too large, no captions."""
    found = beside(serve_stream(server, tracks), tmp_path, CaptionsWanted("prefer", "en"))
    assert found.reference is None and found.path.is_file()
    assert [path for path in tmp_path.iterdir() if path.name.startswith("reference")] == []


def test_optional_captions_have_a_time_limit() -> None:
    """The download does not wait for longer."""
    caught: list[str] = []
    with pytest.raises(TimeIsOver), _within(0.05):
        time.sleep(5)
        caught.append("not reached")
    with _within(0.05):
        pass
    time.sleep(0.1)  # no alarm is left
    assert caught == []
