"""The captions of a media by yt-dlp, before its audio: chosen, fetched and looked into.

Only the download's own process (`youtube_child`) imports this module.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from resources.download.caption_tracks import track_formats
from resources.download.errors import error_of
from resources.download.media_downloader import MediaDownloader
from ytcaption.domain.caption_choice import CaptionChoice, CaptionsWanted, choose_captions
from ytcaption.domain.captions.track_segments import CaptionReference, CaptionTrack
from ytcaption.domain.errors import CaptionsUnavailable, YtcaptionError
from ytcaption.domain.media.media import MediaInfo

REFERENCE_S = 30.0
"""Longest time that captions are fetched for, where nobody waits for them."""


def fetch_captions(
    downloader: MediaDownloader, found: Any, info: MediaInfo, wanted: CaptionsWanted
) -> tuple[CaptionChoice, CaptionTrack | None]:
    """The captions to use instead of the audio; without a track, why there are none.

    Args:
        found: yt-dlp's `info_dict`.
        info: the same, cleaned.

    Raises:
        CaptionsUnavailable: nothing else will do, and there are none.
        YtcaptionError: nothing else will do, and they cannot be fetched.
    """
    choice = choose_captions(wanted, info.language, info.captions)
    if choice.kind is None:
        return _none(choice, wanted), None
    failure: YtcaptionError | None = None
    for each in track_formats(found, choice):
        try:
            track = CaptionTrack(each["ext"], downloader.fetch_track(each))
            if track.segments(choice.kind):
                return choice, track
        except (ValueError, RecursionError):
            continue  # damaged, or deeper than anything that says something
        except Exception as error:
            failure = error if isinstance(error, YtcaptionError) else error_of(error)
            break  # the other formats come from the same place
    if failure is not None and wanted.policy == "only":
        raise failure
    why = f"cannot be fetched ({failure.code})" if failure else "hold no text that can be read"
    reason = f"The captions {why}."
    return _none(CaptionChoice(reason, spoken_language=choice.spoken_language), wanted), None


def fetch_reference(
    downloader: MediaDownloader, found: Any, info: MediaInfo, wanted: CaptionsWanted
) -> CaptionReference | None:
    """Captions that people made in the language that is spoken, to measure by what is heard.

    None where there are none, or they cannot be had within `REFERENCE_S`: nobody has asked for
    them, so nothing fails for want of them.
    """
    choice = choose_captions(wanted, info.language, info.captions)
    if choice.kind != "manual" or choice.language is None:
        return None
    try:
        with _within(REFERENCE_S):
            _, track = fetch_captions(downloader, found, info, wanted)
    except TimeIsOver:
        return None
    return CaptionReference(choice.language, track) if track is not None else None


class TimeIsOver(BaseException):
    """No Exception: yt-dlp would take it for one of the network's, and try again."""


@contextmanager
def _within(time_s: float) -> Iterator[None]:
    """Ends the block by TimeIsOver; in a process's main thread."""

    def end(*_: object) -> None:
        raise TimeIsOver

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, time_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _none(choice: CaptionChoice, wanted: CaptionsWanted) -> CaptionChoice:
    if wanted.policy == "only":
        raise CaptionsUnavailable(f"{choice.reason} Ask without captions=only to have it heard.")
    return choice
