"""The advice after a refusal, for recorded messages and warnings of yt-dlp."""

import pytest
from yt_dlp.utils import DownloadError, ExtractorError

from resources.download.errors import error_of
from tests.resources.download.test_errors import HINT, ID
from ytcaption.domain.errors import (
    DrmProtected,
    JsRuntimeMissing,
    MediaAgeRestricted,
    MediaMembersOnly,
    MediaPrivate,
    MediaRegionRestricted,
    PoTokenMissing,
    SourceBlocked,
    SourceError,
    YtcaptionError,
)

NO_FORMAT = "Requested format is not available. Use --list-formats for a list of available formats"
FORBIDDEN = "unable to download video data: HTTP Error 403: Forbidden"
PO_TOKEN = (
    f"[youtube] {ID}: mweb client https formats require a GVS PO Token which was not provided. "
    "They will be skipped as they may yield HTTP Error 403. You can manually pass a GVS PO Token "
    'for this client with --extractor-args "youtube:po_token=mweb.gvs+XXX". For more information, '
    "refer to  https://github.com/yt-dlp/yt-dlp/wiki/PO-Token-Guide"
)
NO_RUNTIME = (
    "[youtube] No supported JavaScript runtime could be found. Only deno is enabled by default; to "
    "use another runtime add  --js-runtimes RUNTIME[:PATH]  to your command/config. YouTube "
    "extraction without a JS runtime has been deprecated, and some formats may be missing."
)
UNSOLVED = f"[youtube] {ID}: n challenge solving failed: Some formats may be missing."
SABR = (
    "[youtube] Some mweb client https formats have been skipped as they are missing a URL. YouTube "
    "may have enabled the SABR-only streaming experiment for the current session. See  "
    "https://github.com/yt-dlp/yt-dlp/issues/12482  for more details"
)
DRM = f"[youtube] {ID}: Some tv client https formats have been skipped as they are DRM protected."
OLD_COOKIES = (
    "[youtube] The provided YouTube account cookies are no longer valid. They have likely been "
    "rotated in the browser as a security measure."
)
BOT = "Sign in to confirm you\u2019re not a bot." + HINT
AGE = "Sign in to confirm your age. This video may be inappropriate for some users." + HINT


def error_after(said: str, *warnings: str) -> YtcaptionError:
    cause = ExtractorError(said, expected=True, video_id=ID)
    failure = DownloadError(f"ERROR: [youtube] {ID}: {said}", (type(cause), cause, None))
    return error_of(failure, warnings)


@pytest.mark.parametrize(
    ("said", "kind", "settings"),
    [
        (BOT, SourceBlocked, ("BULK_PAUSE_S", "PO_TOKEN_PROVIDER", "PROXIES", "COOKIES_FILE")),
        (
            "Unable to download API page: HTTP Error 429: Too Many Requests",
            SourceBlocked,
            ("BULK_PAUSE_S", "LISTS_PER_MINUTE", "PROXIES"),
        ),
        (
            "Video unavailable. This content isn't available, try again later. The current session"
            " has been rate-limited by YouTube for up to an hour.",
            SourceBlocked,
            ("BULK_PAUSE_S",),
        ),
        (AGE, MediaAgeRestricted, ("COOKIES_FILE",)),
        ("Join this channel to get access to members-only content", MediaMembersOnly,
         ("COOKIES_FILE",)),
        ("Private video. Sign in if you've been granted access." + HINT, MediaPrivate,
         ("COOKIES_FILE",)),
        ("Video unavailable. The uploader has not made this video available in your country",
         MediaRegionRestricted, ("PROXIES",)),
    ],
)  # fmt: skip
def test_the_setting_that_helps_is_named(said: str, kind: type, settings: tuple[str, ...]):
    """The message names it beside the cause, and where to read more."""
    error = error_after(said)
    assert type(error) is kind
    for name in settings:
        assert f"YTCAPTION_{name}" in error.message
    assert error.message.endswith("See docs/how-to/avoid-being-blocked.md.")


@pytest.mark.parametrize(
    ("said", "warned", "kind", "text"),
    [
        (NO_FORMAT, PO_TOKEN, PoTokenMissing, "YTCAPTION_PO_TOKEN_PROVIDER"),
        (FORBIDDEN, PO_TOKEN, SourceBlocked, "YTCAPTION_PO_TOKEN_PROVIDER"),
        (NO_FORMAT, NO_RUNTIME, JsRuntimeMissing, "the package deno"),
        (NO_FORMAT, UNSOLVED, JsRuntimeMissing, "the package deno"),
        (NO_FORMAT, DRM, DrmProtected, "encrypted"),
        (NO_FORMAT, SABR, SourceError, "YTCAPTION_YOUTUBE_CLIENTS"),
        (BOT, OLD_COOKIES, SourceBlocked, "export them again (YTCAPTION_COOKIES_FILE)"),
        (AGE, OLD_COOKIES, MediaAgeRestricted, "export them again (YTCAPTION_COOKIES_FILE)"),
    ],
)
def test_warnings_state_why_there_is_no_format(said: str, warned: str, kind: type, text: str):
    """Also between other warnings, and without yt-dlp's own advice."""
    error = error_after(said, "[youtube] Something else.", warned)
    assert type(error) is kind
    assert text in error.message
    for leak in ("--", "http", "github", ID):
        assert leak not in error.message


def test_irrelevant_warnings_change_nothing():
    """A removed media is removed, even if formats were missing."""
    said = "Video unavailable. This video has been removed by the uploader"
    assert error_after(said, PO_TOKEN, NO_RUNTIME).message == error_after(said).message
    assert type(error_after(NO_FORMAT)) is SourceError
