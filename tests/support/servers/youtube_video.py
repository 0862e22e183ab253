"""YouTube's page of one video for the real extractor: its audio, and caption tracks of each kind.

Manual tracks are WebVTT; automatic ones roll, as json3 and WebVTT, each word with its time; what is
asked with `tlang` has been translated by a machine.
"""

import json
from dataclasses import dataclass, field
from typing import Any

from tests.ytcaption.domain.captions.test_track_segments import Said, json3, rolling

SAID: Said = [
    [("and", 300), ("so", 500), ("my", 800), ("fellow", 1000), ("americans", 1400)],
    [("ask", 3300), ("not", 3600), ("what", 5200), ("your", 5400), ("country", 5600)],
]
MANUAL = "WEBVTT\n\n00:00.300 --> 00:03.000\nAnd so, my fellow Americans,\n"
AUDIO_HOST = "rr1---sn-abc.googlevideo.com"


@dataclass
class Captions:
    """The tracks of a video: codes of manual ones, the code of the automatic one."""

    manual: list[str] = field(default_factory=list)
    automatic: str | None = None


def player(video_id: str, captions: Captions, size_bytes: int) -> dict[str, Any]:
    """What `/youtubei/v1/player` answers."""
    tracks = [_track(video_id, code, code, "") for code in captions.manual]
    if captions.automatic is not None:
        code = captions.automatic
        tracks.append(_track(video_id, f"a.{code}", code, "&kind=asr") | {"kind": "asr"})
    url = f"https://{AUDIO_HOST}/videoplayback?id={video_id}&itag=251&source=youtube"
    return {
        "playabilityStatus": {"status": "OK", "playableInEmbed": True},
        "streamingData": {
            "adaptiveFormats": [
                {
                    "itag": 251,
                    "url": url,
                    "mimeType": 'audio/webm; codecs="opus"',
                    "bitrate": 130000,
                    "contentLength": str(size_bytes),
                    "quality": "tiny",
                    "audioQuality": "AUDIO_QUALITY_MEDIUM",
                    "audioSampleRate": "48000",
                    "audioChannels": 2,
                    "approxDurationMs": "11000",
                }
            ],
        },
        "captions": {
            "playerCaptionsTracklistRenderer": {
                "captionTracks": tracks,
                "translationLanguages": [
                    {"languageCode": code, "languageName": {"simpleText": name}}
                    for code, name in (("en", "English"), ("de", "German"))
                ],
            }
        },
        "videoDetails": {
            "videoId": video_id,
            "title": f"Video {video_id}",
            "lengthSeconds": "11",
            "channelId": "UCabcdefghijklmnopqrstuv",
            "isLiveContent": False,
            "author": "A channel",
        },
    }


def watch_page(answer: dict[str, Any]) -> str:
    """The page of a video."""
    first = json.dumps({name: value for name, value in answer.items() if name != "streamingData"})
    data = json.dumps({"contents": {"twoColumnWatchNextResults": {}}})
    return (
        f"<!doctype html><script>var ytInitialPlayerResponse = {first};</script>"
        f"<script>var ytInitialData = {data};</script>"
    )


def timed_text(query: dict[str, str]) -> bytes:
    """What `/api/timedtext` answers."""
    if "tlang" in query:
        return b"WEBVTT\n\n00:00.300 --> 00:03.000\nUnd so, meine Amerikaner\n"
    if query.get("kind") == "asr":
        return json3(SAID) if query["fmt"] == "json3" else rolling(SAID)
    return MANUAL.encode()


def _track(video_id: str, name: str, code: str, more: str) -> dict[str, Any]:
    return {
        "baseUrl": f"https://www.youtube.com/api/timedtext?v={video_id}&lang={code}{more}",
        "name": {"simpleText": code},
        "vssId": name if name.startswith("a.") else f".{name}",
        "languageCode": code,
        "isTranslatable": True,
    }
