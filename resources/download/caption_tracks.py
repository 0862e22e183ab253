"""The caption tracks in yt-dlp's `info_dict`, and the formats of each."""

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qs

from ytcaption.domain.caption_choice import CaptionChoice, CaptionOffers, primary_language
from ytcaption.domain.captions.track_parsing import TTML
from ytcaption.domain.languages import WHISPER_LANGUAGES

MAX_TRACKS = 500
READABLE = ("json3", "vtt", "srt", *TTML)
"""Extensions that can be read, best first: json3 has times of words and does not roll."""

_PROTOCOLS = (None, "", "http", "https", "m3u8", "m3u8_native")
_CODE = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,16}){0,4}")
_TRANSLATED_NAME = re.compile(r"\w from \w")
_KNOWN = frozenset(WHISPER_LANGUAGES.values())


def caption_offers(info_dict: Mapping[str, Any]) -> CaptionOffers:
    """Return the readable tracks of a media item; the chats that some sites list are left out."""
    manual: list[str] = []
    automatic: list[str] = []
    translated: list[str] = []
    for code, formats in _tracks(info_dict, "subtitles"):
        (translated if _has_target(formats) else manual).append(code)
    for code, formats in _tracks(info_dict, "automatic_captions"):
        (translated if _is_translated(code, formats) else automatic).append(code)
    return CaptionOffers(tuple(manual), tuple(automatic), tuple(translated))


def track_formats(info_dict: Mapping[str, Any], choice: CaptionChoice) -> list[dict[str, Any]]:
    """Return the formats of the chosen track, best first; empty if there is no such track."""
    name = "subtitles" if choice.list_name == "manual" else "automatic_captions"
    tracks = _tracks(info_dict, name)
    formats = next((formats for code, formats in tracks if code == choice.track), [])
    return sorted(formats, key=lambda each: READABLE.index(each["ext"]))


def _tracks(info_dict: Mapping[str, Any], name: str) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    listed = info_dict.get(name)
    for code, formats in list(listed.items())[:MAX_TRACKS] if isinstance(listed, dict) else ():
        offered = formats if isinstance(formats, list) else []
        readable = [each for each in offered if _is_readable(each)]
        if isinstance(code, str) and _CODE.fullmatch(code) and readable:
            yield code, readable


def _is_readable(track: Any) -> bool:
    return (
        isinstance(track, dict)
        and track.get("ext") in READABLE
        and track.get("protocol") in _PROTOCOLS
        and (isinstance(track.get("url"), str) or isinstance(track.get("data"), str))
    )


def _is_translated(code: str, formats: list[dict[str, Any]]) -> bool:
    """Return whether a machine has translated the track.

    YouTube translates a track if its URL has `tlang`; yt-dlp names it `German`, and if people made
    the original, `German from English` with the code `de-en`.
    """
    parts = code.split("-")
    has_two = len(parts) == 2 and code.islower() and all(part in _KNOWN for part in parts)
    is_named = any(_TRANSLATED_NAME.search(str(each.get("name") or "")) for each in formats)
    return has_two or is_named or _has_target(formats)


def _has_target(formats: list[dict[str, Any]]) -> bool:
    for each in formats:
        query = parse_qs(str(each.get("url") or "").partition("?")[2].partition("#")[0])
        source, target = (query.get(name, [""])[-1] for name in ("lang", "tlang"))
        if target and primary_language(target) != primary_language(source):
            return True
    return False
