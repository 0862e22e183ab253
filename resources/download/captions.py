"""Chooses and fetches the captions of a media item with yt-dlp, before its audio.

Only the download's own process (`download_child`) imports this module.
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
"""Longest time to fetch captions that nobody has requested."""


def fetch_captions(
    downloader: MediaDownloader, info_dict: Any, info: MediaInfo, wanted: CaptionsWanted
) -> tuple[CaptionChoice, CaptionTrack | None]:
    """Return the captions to use instead of the audio; without a track, the reason.

    Args:
        info_dict: yt-dlp's.
        info: the same, cleaned.

    Raises:
        CaptionsUnavailable: only captions were requested, and there are none.
        YtcaptionError: only captions were requested, and they cannot be fetched.
    """
    choice = choose_captions(wanted, info.language, info.captions)
    if choice.kind is None:
        return _none(choice, wanted), None
    failure: YtcaptionError | None = None
    for each in track_formats(info_dict, choice):
        try:
            track = CaptionTrack(each["ext"], downloader.fetch_track(each))
            if track.segments(choice.kind):
                return choice, track
        except (ValueError, RecursionError):
            continue  # damaged, or nested too deeply to be captions
        except Exception as error:
            failure = error if isinstance(error, YtcaptionError) else error_of(error)
            break  # the other formats come from the same server
    if failure is not None and wanted.policy == "only":
        raise failure
    why = f"cannot be fetched ({failure.code})" if failure else "hold no text that can be read"
    reason = f"The captions {why}."
    return _none(CaptionChoice(reason, spoken_language=choice.spoken_language), wanted), None


def fetch_reference(
    downloader: MediaDownloader, info_dict: Any, info: MediaInfo, wanted: CaptionsWanted
) -> CaptionReference | None:
    """Return captions that people made in the spoken language, to compare the transcript with.

    None if there are none, or they cannot be fetched within `REFERENCE_S`: they are optional, so a
    download does not fail without them.
    """
    choice = choose_captions(wanted, info.language, info.captions)
    if choice.kind != "manual" or choice.language is None:
        return None
    try:
        with _within(REFERENCE_S):
            _, track = fetch_captions(downloader, info_dict, info, wanted)
    except TimeIsOver:
        return None
    return CaptionReference(choice.language, track) if track is not None else None


class TimeIsOver(BaseException):
    """The time limit. Not an Exception: yt-dlp would take it for a network error and retry."""


@contextmanager
def _within(time_s: float) -> Iterator[None]:
    """Raise TimeIsOver in the block after `time_s`; only in a process's main thread."""

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
        raise CaptionsUnavailable(
            f"{choice.reason} Request it without captions=only to have the audio transcribed."
        )
    return choice
