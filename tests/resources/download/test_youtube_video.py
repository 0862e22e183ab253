"""A video of YouTube by the real extractor, its page, audio and captions served from loopback."""

from pathlib import Path

import pytest

from resources.download.downloader import CaptionsFound, Download
from resources.sites.resolve import resolve_source
from tests.resources.download.downloads import downloader
from tests.support.servers.youtube_host import (
    SPEECH,
    YouTubeHost,
)
from tests.support.servers.youtube_video import (
    SAID,
    Captions,
)
from ytcaption.domain.caption_choice import CaptionsWanted

VIDEO = "dQw4w9WgXcQ"


def fetch(folder: Path, wanted: CaptionsWanted, **overrides: object) -> Download | CaptionsFound:
    source = resolve_source(f"https://youtu.be/{VIDEO}", sites=("youtube",))
    return downloader(**overrides).captions_or_audio(
        source, folder, wanted, lambda done, total: None
    )


@pytest.mark.long
@pytest.mark.parametrize("where", ["loopback", pytest.param("site", marks=pytest.mark.network)])
def test_captions_as_the_site_serves_them(
    where: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """The same of the real site: a video with manual captions is read without its audio, each line
    after the one before."""
    if where == "loopback":
        host: YouTubeHost = request.getfixturevalue("youtube")
        host.captions[VIDEO] = Captions(["en"], "en")
    found = fetch(tmp_path, CaptionsWanted("prefer", "en"), max_audio_s=4000)
    assert isinstance(found, CaptionsFound) and found.track is not None
    assert found.choice.kind == "manual" and found.choice.language == "en"
    segments = found.track.segments("manual")
    assert segments and all(each.text.strip() for each in segments)
    starts = [each.start_s for each in segments]
    assert starts == sorted(starts)
    assert found.info.captions is not None and "en" in found.info.captions.manual


@pytest.mark.slow
def test_manual_captions_are_taken(youtube: YouTubeHost, tmp_path: Path) -> None:
    """In the language that YouTube has recognised, and no byte of audio is requested."""
    youtube.captions[VIDEO] = Captions(["en", "fr"], "en")
    found = fetch(tmp_path, CaptionsWanted("prefer"))
    assert isinstance(found, CaptionsFound) and found.track is not None
    assert (found.choice.kind, found.choice.track) == ("manual", "en")
    (segment,) = found.track.segments("manual")
    assert segment.text == "And so, my fellow Americans,"
    assert not [each for each in youtube.requests if each.path == "/videoplayback"]


@pytest.mark.slow
def test_rolling_captions_hold_each_word_once(youtube: YouTubeHost, tmp_path: Path) -> None:
    """Automatic ones on request, with the time of each word."""
    youtube.captions[VIDEO] = Captions(automatic="en")
    found = fetch(tmp_path, CaptionsWanted("prefer_any"))
    assert isinstance(found, CaptionsFound) and found.track is not None
    assert found.choice.kind == "automatic"
    words = [word for each in found.track.segments("automatic") for word in each.words]
    spoken = [(word.text.strip(), round(word.start_s * 1000)) for word in words]
    assert spoken == [word for line in SAID for word in line]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("captions", "wanted", "reason"),
    [
        (Captions(automatic="en"), CaptionsWanted("prefer"), "automatic"),
        (Captions(automatic="en"), CaptionsWanted("prefer_any", "de"), "machine translation"),
        (Captions(), CaptionsWanted("prefer_any", "en"), "no captions"),
    ],
)
def test_else_the_audio_comes(
    youtube: YouTubeHost, tmp_path: Path, captions: Captions, wanted: CaptionsWanted, reason: str
) -> None:
    """Automatic ones are used only on request, machine translations never."""
    youtube.captions[VIDEO] = captions
    found = fetch(tmp_path, wanted)
    assert isinstance(found, Download) and found.choice is not None
    assert reason in found.choice.reason
    assert found.path.read_bytes() == youtube.read(SPEECH)
    assert found.info.title == f"Video {VIDEO}" and found.info.duration_s == 11
