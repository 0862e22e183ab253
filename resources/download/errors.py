"""Maps failures of yt-dlp to our errors, with the setting that helps the operator.

Only the processes of downloads and listings import this module: it needs yt-dlp at once.
"""

import errno
import re
from collections.abc import Iterator, Sequence

from yt_dlp.networking.exceptions import (  # noqa: TID253
    CertificateVerifyError,
    HTTPError,
    TransportError,
)
from yt_dlp.utils import (  # noqa: TID253
    ContentTooShortError,
    GeoRestrictedError,
    UnsupportedError,
    UserNotLive,
)

from resources.disk import is_disk_full
from resources.network.http_errors import UPLOAD_IT, refusal_of_status
from ytcaption.domain.errors import (
    DiskFull,
    DrmProtected,
    EmptyFile,
    JsRuntimeMissing,
    LiveNotOver,
    MediaAgeRestricted,
    MediaCopyright,
    MediaMembersOnly,
    MediaNotFound,
    MediaPrivate,
    MediaRegionRestricted,
    MediaRemoved,
    MediaTooLarge,
    PoTokenMissing,
    SourceBlocked,
    SourceError,
    SourceUnavailable,
    UnsupportedSite,
    YtcaptionError,
)

NO_MEDIA_FILE = (
    "This link is a web page on no site of the list, and no media file. Give the link of the audio "
    "or video itself, or add the site to YTCAPTION_SITES."
)

_REGION = f"The site does not show this media item in the country of this machine. {UPLOAD_IT}"
_NO_MEDIA = "There is no audio or video at this link. Give the link of the media itself."

# Patterns of yt-dlp's messages (2026.10: all that its extractors raise as expected), the most
# specific first.
_BY_MESSAGE: tuple[tuple[re.Pattern[str], type[YtcaptionError], str], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), error, sentence)
    for pattern, error, sentence in (
        (
            r"error on server-side|temporarily unavailable|service unavailable|network error has"
            r"|error occurred while receiving data|incomplete data received",
            SourceUnavailable,
            "The site has a problem. Try again later.",
        ),
        (
            r"not a bot|as a bot|captcha|rate.?limit|try again later|cloudflare|tls fingerprint"
            r"|unusual traffic|ip(-| )(address )?is (likely being |unable|blocked)"
            r"|reload(ed)? and try again|request is (blocked|rejected) by server"
            r"|requests automated",
            SourceBlocked,
            "The site takes this machine for a robot and refuses it for now. Try again later.",
        ),
        (
            r"\bDRM\b",
            DrmProtected,
            f"The media is encrypted (DRM) and cannot be downloaded. {UPLOAD_IT}",
        ),
        (
            r"live event (will begin|is scheduled)|premieres? (in|will)|scheduled (for|to start)"
            r"|(has )?not (yet )?(started|begun|premiered)|will (start|be available) a"
            r"|offline and will start|upcoming|is still live|live stream is currently"
            r"|ended but not downloadable yet|archive will be available",
            LiveNotOver,
            "The live stream or premiere is not over. Try again when its recording is available.",
        ),
        (
            r"age[- ](restrict|verified)|confirm your age|inappropriate (for some|or offensive)"
            r"|adult (content|verification)|mature audience|nsfw|older than [0-9]+ are"
            r"|sensitive content|after 2[0-9]:00",
            MediaAgeRestricted,
            f"The site shows this media item to adults with an account only. {UPLOAD_IT}",
        ),
        (
            r"members?[- ]only|(for|premium) (first )?members|join this channel|channel's members"
            r"|requires payment|purchase|\brent(ed|al)?\b|subscri(bed?\b|bers?\b|ption)|premium"
            r"|supporter|is paid|not free|tv providers|does(n't| not) have (tickets|access)"
            r"|(video|contents) (is )?locked|play limit",
            MediaMembersOnly,
            f"The media is for members or paying customers only. {UPLOAD_IT}",
        ),
        (
            r"(in|from) your (country|location|region)|in this region|geo.?(restrict|block)"
            r"|not available in .*countr|available in .* only\b|track is restricted",
            MediaRegionRestricted,
            _REGION,
        ),
        (
            r"private (video|subreddit|show)|videos? (is|are) private"
            r"|(track|post|media|account|playlist|vod) is (either )?private|protected tweet",
            MediaPrivate,
            f"The media is private. Ask its owner to publish it. {UPLOAD_IT}",
        ),
        (
            r"copyright",
            MediaCopyright,
            f"The media was taken down for a claim of copyright. {UPLOAD_IT}",
        ),
        (
            r"removed by|has been removed|been deleted|was deleted|account .*terminated"
            r"|account (has been )?(suspended|closed)|i[sn] no longer available|no longer exists"
            r"|violat(ing|ion)|(link|stream) (is|has) expired|replay is disabled"
            r"|(live|livestream|event|space)( was| has)? ended",
            MediaRemoved,
            f"The media was removed by its owner or the site. {UPLOAD_IT}",
        ),
        (
            r"sign in|log ?in\b|logged[- ]in|log into|registered users|authenticat"
            r"|account credentials|password|passcode|--cookies|not authorized|permission to view"
            r"|do not have access|account .*(is needed|required)|cookies .* (are needed|required)",
            MediaPrivate,
            f"The site shows this media item only after a login. {UPLOAD_IT}",
        ),
        (
            r"requested format is not available|no video formats|no formats|unplayable",
            SourceError,
            "There is nothing at this link that can be downloaded as audio.",
        ),
        (
            r"processing this video|(is|being) process(ing|ed)|uploading or processing"
            r"|check back later",
            SourceUnavailable,
            "The site is still processing the media. Try again later.",
        ),
        (
            r"video (#\w+ )?(is )?unavailable|not currently available|(does not|n't) exist"
            r"|not found|recording is not available|isn't available|is not available"
            r"|currently unavailable|unreachable|(is|'s) (now )?offline|is not live"
            r"|no such (podcast|audition)|not (been made available|archived)|video is offline",
            MediaNotFound,
            "The site has no such media, or does not show it. Check the link.",
        ),
        (
            r"no (valid |supported )?(videos?|media|downloads|sources|songs)\b"
            r"|(not|n't) (have|contain|a) (any |a )?(videos?|audio|media)|not a video"
            r"|video (could be|was) found",
            MediaNotFound,
            _NO_MEDIA,
        ),
        (
            r"no suitable extractor|website is not supported|no longer supported"
            r"|embeds? (providers )?are (not )?supported",
            UnsupportedSite,
            "The page shows media of another site, which is not supported. Give that site's link.",
        ),
        (
            r"did not get any data blocks|downloaded file is empty",
            EmptyFile,
            "The server sent an empty file.",
        ),
    )
)  # fmt: skip

_ADVICE = re.compile(r"(;|\.)? *(please report|use --|see +http|confirm you are on).*", re.S | re.I)
_GAVE_UP = re.compile(r"giving up after [0-9]+ retr", re.IGNORECASE)
_HTTP_ERROR = re.compile(r"HTTP Error ([1-5][0-9]{2})\b")
_PREFIX = re.compile(r"^(ERROR: *)?(\[[^\]]{1,40}\] *)?([\w-]{6,20}: )?")
_URL = re.compile(r"\w+://\S+")
_CONTROL = re.compile(r"\x1b\[[0-9;]*m|[\x00-\x1f\x7f]")


_MORE = "See docs/how-to/avoid-being-blocked.md."
_ACCOUNT = f"The operator can set the cookies of an account {{}}. {_MORE}"
_HELP_BY_ERROR: dict[type[YtcaptionError], str] = {
    MediaAgeRestricted: _ACCOUNT.format("of an adult (YTCAPTION_COOKIES_FILE)"),
    MediaMembersOnly: _ACCOUNT.format("that is a member (YTCAPTION_COOKIES_FILE)"),
    MediaPrivate: _ACCOUNT.format("that may see it (YTCAPTION_COOKIES_FILE)"),
    MediaRegionRestricted: "The operator of this installation can set a proxy in another country "
    f"(YTCAPTION_PROXIES). {_MORE}",
}
_ROBOT = re.compile(r"not a bot|as a bot|captcha|unusual traffic|requests automated", re.I)
_ROBOT_HELP = (
    "What helps, in this order: longer pauses (YTCAPTION_BULK_PAUSE_S), PO tokens "
    "(YTCAPTION_PO_TOKEN_PROVIDER), a proxy (YTCAPTION_PROXIES), an account's cookies "
    f"(YTCAPTION_COOKIES_FILE). {_MORE}"
)
_TOO_MANY_HELP = (
    "What helps: longer pauses (YTCAPTION_BULK_PAUSE_S, YTCAPTION_LISTS_PER_MINUTE), else a "
    f"proxy (YTCAPTION_PROXIES). {_MORE}"
)
_NO_FORMATS = re.compile(
    r"requested format is not available|no video formats|no formats|HTTP Error 403", re.I
)
_JS_MISSING = re.compile(r"no supported javascript runtime|challenge solving failed|"
                         r"signature solving failed", re.I)  # fmt: skip
_PO_TOKEN = re.compile(r"PO Token", re.I)
_DRM = re.compile(r"DRM protected", re.I)
_SABR = re.compile(r"SABR|missing a URL", re.I)
_OLD_COOKIES = re.compile(r"cookies are no longer valid", re.I)


def error_of(failure: BaseException, warnings: Sequence[str] = ()) -> YtcaptionError:
    """Return the error that describes a failure best, with advice.

    Args:
        warnings: that yt-dlp gave before it.
    """
    chain = list(_chain(failure))
    if any(isinstance(error, YtcaptionError) for error in chain):
        return _error_of(failure, chain)
    message = " ".join(str(error) for error in chain)
    return _with_help(_error_of(failure, chain), message, warnings)


def _error_of(failure: BaseException, chain: Sequence[BaseException]) -> YtcaptionError:
    for error in chain:
        if isinstance(error, YtcaptionError):
            return error
        if isinstance(error, MemoryError):
            return MediaTooLarge("The server's response needs more memory than a download may use.")
        if isinstance(error, OSError) and is_disk_full(error):
            return DiskFull("The disk is full. Free some space; the download is resumed.")
        if isinstance(error, OSError) and error.errno == errno.EFBIG:
            return MediaTooLarge("The media has more bytes than this installation allows.")
    for error in chain:
        if isinstance(error, UnsupportedError):
            return UnsupportedSite(NO_MEDIA_FILE)
        if isinstance(error, GeoRestrictedError):
            return MediaRegionRestricted(_REGION)
        if isinstance(error, UserNotLive):
            return MediaNotFound("The channel is not live. Give the link of a recording.")
    response = next((error for error in chain if isinstance(error, HTTPError)), None)
    if response is not None and response.redirect_loop:
        return SourceError("The server redirects in a circle.")
    text = " ".join(str(error) for error in chain)
    status = _status_of(text) if response is None else response.status
    for pattern, kind, sentence in _BY_MESSAGE:
        # The reason phrase of an HTTP error ("Not Found") says no more than its status.
        if pattern.search(text) and (status is None or kind in (SourceBlocked, DrmProtected)):
            return kind(sentence)
    if status is not None:
        return refusal_of_status(status)
    if any(isinstance(error, CertificateVerifyError) for error in chain):
        return SourceError("The server's certificate is not valid.")
    lost = (TransportError, ContentTooShortError, TimeoutError, ConnectionError)
    if any(isinstance(error, lost) for error in chain) or _GAVE_UP.search(text):
        return SourceUnavailable("The connection to the server failed or broke off.")
    return SourceError(f"The site gave no media: {_readable(str(failure))}")


def _status_of(text: str) -> int | None:
    """Return the status in a message: after its last retry yt-dlp raises no exception with it."""
    match = _HTTP_ERROR.search(text)
    return int(match[1]) if match else None


def _chain(failure: BaseException | None) -> Iterator[BaseException]:
    """Yield the failure and all its causes, once each."""
    seen: set[int] = set()
    waiting = [failure]
    while waiting:
        error = waiting.pop(0)
        if error is None or not isinstance(error, BaseException) or id(error) in seen:
            continue
        seen.add(id(error))
        yield error
        exc_info = getattr(error, "exc_info", None) or (None, None, None)
        waiting += [exc_info[1], getattr(error, "cause", None), error.__cause__]
        if not error.__suppress_context__:
            waiting.append(error.__context__)


def _readable(text: str) -> str:
    """Return yt-dlp's message in one line, without its advice, prefixes, colours and URLs."""
    text = _CONTROL.sub(" ", text)
    text = _ADVICE.sub("", _PREFIX.sub("", text.strip()))
    text = " ".join(_URL.sub("(link)", text).split())
    return (text[:200].rstrip(" .") or "no reason given") + "."


def _with_help(error: YtcaptionError, message: str, warnings: Sequence[str]) -> YtcaptionError:
    """Return the error with advice; another error if yt-dlp's warnings state the cause.

    Args:
        message: of yt-dlp's failure.
        warnings: that yt-dlp gave before it.
    """
    warned = " ".join(warnings)
    if isinstance(error, SourceError) and _NO_FORMATS.search(message):
        cause = _cause_in_warnings(error, warned)
        if cause is not None:
            return cause
    help_ = _help(error, message, warned)
    return error if help_ is None else type(error)(f"{error} {help_}")


def _cause_in_warnings(error: SourceError, warned: str) -> YtcaptionError | None:
    """Return why there are no formats, if yt-dlp's warnings state it."""
    if _JS_MISSING.search(warned):
        return JsRuntimeMissing(
            "The site's player could not be run, so there is nothing to download. The operator of "
            "this installation must reinstall the package deno and update yt-dlp."
        )
    if _PO_TOKEN.search(warned):
        help_ = (
            "The operator of this installation can set YTCAPTION_PO_TOKEN_PROVIDER, or other "
            f"players in YTCAPTION_YOUTUBE_CLIENTS. {_MORE}"
        )
        if isinstance(error, SourceBlocked):
            return SourceBlocked(f"{error} The site requires a PO token. {help_}")
        return PoTokenMissing(f"The site gives its media only with a PO token. {help_}")
    if isinstance(error, SourceBlocked):
        return None
    if _DRM.search(warned):
        return DrmProtected("All that the site offers is encrypted (DRM). Upload the file.")
    if _SABR.search(warned):
        return type(error)(
            f"{error} The site gives this player only streams that cannot be stored. The operator "
            "of this installation can set other players in YTCAPTION_YOUTUBE_CLIENTS. "
            f"{_MORE}"
        )
    return None


def _help(error: YtcaptionError, message: str, warned: str) -> str | None:
    needs_account = isinstance(error, SourceBlocked | MediaAgeRestricted | MediaPrivate)
    if needs_account and _OLD_COOKIES.search(warned):
        return (
            "The cookies of this installation are no longer valid: its operator must export them "
            f"again (YTCAPTION_COOKIES_FILE). {_MORE}"
        )
    if type(error) is SourceBlocked:
        return _ROBOT_HELP if _ROBOT.search(message) else _TOO_MANY_HELP
    return _HELP_BY_ERROR.get(type(error))
