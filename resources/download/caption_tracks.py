"""The caption tracks in yt-dlp's `info_dict`: what there is, and how each can be fetched."""

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

from ytcaption.domain.caption_choice import CaptionChoice, CaptionOffers, primary_language
from ytcaption.domain.captions.track_parsing import TTML
from ytcaption.domain.languages import WHISPER_LANGUAGES

MAX_TRACKS = 500
READABLE = ("json3", "vtt", "srt", *TTML)
"""Extensions that are read, best first: json3 has word times and rolls nothing."""

_PROTOCOLS = (None, "", "http", "https", "m3u8", "m3u8_native")
_CODE = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,16}){0,4}")
_TRANSLATED_NAME = re.compile(r"\w from \w")
_KNOWN = frozenset(WHISPER_LANGUAGES.values())


def caption_offers(found: Mapping[str, Any]) -> CaptionOffers:
    """Tracks of a media that can be read. Chats and comments, which some sites list, are none."""
    manual: list[str] = []
    automatic: list[str] = []
    translated: list[str] = []
    for code, formats in _tracks(found, "subtitles"):
        (translated if _has_target(formats) else manual).append(code)
    for code, formats in _tracks(found, "automatic_captions"):
        (translated if _is_translated(code, formats) else automatic).append(code)
    return CaptionOffers(tuple(manual), tuple(automatic), tuple(translated))


def track_formats(found: Mapping[str, Any], choice: CaptionChoice) -> list[dict[str, Any]]:
    """How the chosen track can be fetched, best first; empty where it is not there."""
    name = "subtitles" if choice.list_name == "manual" else "automatic_captions"
    formats = next((known for code, known in _tracks(found, name) if code == choice.track), [])
    return sorted(formats, key=lambda each: READABLE.index(each["ext"]))


def _tracks(found: Mapping[str, Any], name: str) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    listed = found.get(name)
    for code, formats in list(listed.items())[:MAX_TRACKS] if isinstance(listed, dict) else ():
        known = formats if isinstance(formats, list) else []
        readable = [each for each in known if _is_readable(each)]
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
    """YouTube translates a track where the URL says `tlang`; yt-dlp calls it `German`, of a track
    that people have made `German from English`, with `de-en` for a code."""
    parts = code.split("-")
    of_two = len(parts) == 2 and code.islower() and all(part in _KNOWN for part in parts)
    named = any(_TRANSLATED_NAME.search(str(each.get("name") or "")) for each in formats)
    return of_two or named or _has_target(formats)


def _has_target(formats: list[dict[str, Any]]) -> bool:
    for each in formats:
        query = parse_qs(urlsplit(str(each.get("url") or "")).query)
        source, target = (query.get(name, [""])[-1] for name in ("lang", "tlang"))
        if target and primary_language(target) != primary_language(source):
            return True
    return False
