"""yt-dlp's words, as recorded, and the errors they become."""

import errno

import pytest
from yt_dlp.utils import DownloadError, ExtractorError, GeoRestrictedError, UserNotLive

from resources.download.errors import error_of
from ytcaption.domain.errors import (
    DiskFull,
    DrmProtected,
    LiveNotOver,
    MediaAgeRestricted,
    MediaCopyright,
    MediaMembersOnly,
    MediaNotFound,
    MediaPrivate,
    MediaRegionRestricted,
    MediaRemoved,
    MediaRestricted,
    MediaTooLarge,
    SourceBlocked,
    SourceError,
    SourceUnavailable,
    UnsupportedSite,
    YtcaptionError,
)

pytestmark = pytest.mark.unit

ID = "dQw4w9WgXcQ"
HINT = (
    " Use --cookies-from-browser or --cookies for the authentication. See  https://github.com/yt-dlp/"
    "yt-dlp/wiki/FAQ#how-do-i-pass-cookies-to-yt-dlp  for how to manually pass cookies."
)
REPORT = (
    "; please report this issue on  https://github.com/yt-dlp/yt-dlp/issues?q= , filling out the "
    "appropriate issue template. Confirm you are on the latest version using  yt-dlp -U"
)
SAID: dict[type[YtcaptionError], tuple[str, ...]] = {
    MediaPrivate: (
        "Private video. Sign in if you've been granted access to this video." + HINT,
        "Video unavailable. This video is private",
        "Please sign in. " + HINT,
        "This video is only available for registered users. Use --username and --password",
        "This video is protected by a password, use the --video-password option",
        "You do not have permission to view this post. Log into an account that has access",
        "You are not authorized to view this protected tweet",
        "An account is needed to access this media",
    ),
    MediaMembersOnly: (
        (
            "Join this channel to get access to members-only content like this video, and other "
            "exclusive perks."
        ),
        ("This video is available to this channel's members on level: Fan (or any higher level)."),
        "This video requires payment to watch",
        "This livestream is for subscribers only",
        "This video requires a channel subscription",
        "This is a supporter-only video: Fans",
    ),
    MediaRemoved: (
        "Video unavailable. This video has been removed by the uploader",
        "This video has been removed for violating YouTube's Terms of Service",
        (
            "Video unavailable. This video is no longer available because the YouTube account "
            "associated with this video has been terminated."
        ),
        "Unable to download webpage: HTTP Error 410: Gone",
        "This livestream has ended",
        "Twitter Space ended and replay is disabled",
    ),
    MediaCopyright: (
        (
            "Video unavailable. This video is no longer available due to a copyright claim by "
            "Somebody"
        ),
        "this song has been offline because of copyright issues",
    ),
    MediaNotFound: (
        "Video unavailable. This video is not available",
        "Video unavailable",
        "This live stream recording is not available.",
        "Got error: HTTP Error 404: Not Found. Giving up after 3 fragment retries",
        "Video #1 is unavailable",
        "No video could be found in this tweet",
        "The webpage doesn't contain any video",
        "Stream is offline",
    ),
    MediaRegionRestricted: (
        (
            "Video unavailable. This video contains content from SME, who has blocked it in your "
            "country on copyright grounds"
        ),
        "Youku said: Sorry, this video is available in China only",
        "This video may be deleted or geo-restricted. You might want to try a VPN",
    ),
    MediaAgeRestricted: (
        "Sign in to confirm your age. This video may be inappropriate for some users." + HINT,
        "NSFW tweet requires authentication",
        "This video is only available for age verified users or after 22:00",
    ),
    MediaRestricted: ("Unable to download webpage: HTTP Error 451: Unavailable For Legal Reasons",),
    SourceBlocked: (
        "Sign in to confirm you’re not a bot." + HINT,
        (
            "Video unavailable. This content isn't available, try again later. The current "
            "session has been rate-limited by YouTube for up to an hour. It is recommended to use"
            " `-t sleep`"
        ),
        "Please sign in. YouTube is requiring a captcha challenge before playback",
        (
            "Unable to download API page: HTTP Error 429: Too Many Requests (caused by <HTTPError"
            " 429: Too Many Requests>)"
        ),
        "unable to download video data: HTTP Error 403: Forbidden",
        "All player responses are invalid. Your IP is likely being blocked by Youtube",
        "Request is blocked by server (412), please wait and try later.",
        "You have exceeded the rate limit. Try again later",
        "You are suspected as a bot. Wait, or pass the captcha on the site and provide cookies.",
    ),
    LiveNotOver: (
        "This live event will begin in 3 hours.",
        "Premieres in 18 hours",
        "Premiere will begin shortly",
        "This live event is scheduled for tomorrow",
        "Twitter Space ended but not downloadable yet",
    ),
    SourceUnavailable: (
        "We're processing this video. Check back later.",
        "There is an error on server-side. Try again later.",
        "Service temporarily unavailable",
        (
            "Got error: HTTPSConnectionPool(host='x', port=443): Read timed out.. Giving up after"
            " 3 retries"
        ),
        "Got error: HTTP Error 503: Service Unavailable. Giving up after 3 retries",
    ),
    DrmProtected: ("This video is DRM protected",),
    SourceError: (
        "TikTok said: odd. Try again with a different device_id",
        ("Requested format is not available. Use --list-formats for a list of available formats"),
        "No video formats found!" + REPORT,
        "Unable to extract uploader id" + REPORT,
    ),
    UnsupportedSite: (
        "No suitable extractor found for URL https://x/",
        "Spotify embeds are not supported",
    ),
}


@pytest.mark.parametrize(
    ("said", "expected"),
    [(said, expected) for expected, messages in SAID.items() for said in messages],
)
def test_messages_of_sites_have_their_errors(said: str, expected: type[YtcaptionError]) -> None:
    """Each recorded message has its class, and a sentence without yt-dlp's advice."""
    cause = ExtractorError(said, expected=True, video_id=ID)
    error = error_of(DownloadError(f"ERROR: [youtube] {ID}: {said}", (type(cause), cause, None)))
    assert type(error) is expected
    message = str(error)
    for leak in ("--", "ERROR", "github", "http", ID, "please report"):
        assert leak not in message
    assert message[0].isupper() and message.endswith(".") and "\n" not in message


def test_the_cause_is_found_behind_yt_dlps_own_errors() -> None:
    """Geography, an offline channel, a full disk and a file too large, however deep."""

    def nested(cause: BaseException) -> DownloadError:
        try:
            try:
                raise cause
            except BaseException as inner:
                raise ExtractorError("unable to write data", cause=inner) from inner
        except ExtractorError as outer:
            return DownloadError("ERROR: it failed", (type(outer), outer, None))

    assert (
        type(error_of(nested(GeoRestrictedError("no", countries=["DE"])))) is MediaRegionRestricted
    )
    assert type(error_of(nested(UserNotLive()))) is MediaNotFound
    assert type(error_of(nested(OSError(errno.ENOSPC, "No space left")))) is DiskFull
    assert type(error_of(nested(OSError(errno.EDQUOT, "Quota exceeded")))) is DiskFull
    assert type(error_of(nested(OSError(errno.EFBIG, "File too large")))) is MediaTooLarge
    assert type(error_of(nested(MemoryError()))) is MediaTooLarge
    assert type(error_of(nested(DrmProtected("It is encrypted.")))) is DrmProtected


def test_other_failures_are_one_clean_line() -> None:
    """An error nobody foresaw is cut, without colours, control characters and links."""
    error = error_of(
        ValueError(
            "\x1b[0;31mERROR:\x1b[0m [x:y] abcdef: odd\n\tthing at https://a/?token=1 " + "z" * 500
        )
    )
    assert type(error) is SourceError
    assert str(error).startswith("The site gave no media: odd thing at (link) zzz")
    assert len(str(error)) < 250
