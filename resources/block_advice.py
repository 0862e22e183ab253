"""What an operator can do where a site refuses: the setting that helps, after what happened."""

import re
from collections.abc import Sequence

from ytcaption_assets.domain.errors import (
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

_MORE = "docs/being_blocked.md says more."
_ACCOUNT = f"Who runs this installation can give it cookies of an account {{}}. {_MORE}"
_BY_CLASS: dict[type[YtcaptionError], str] = {
    MediaAgeRestricted: _ACCOUNT.format("of an adult (YTCAPTION_COOKIES_FILE)"),
    MediaMembersOnly: _ACCOUNT.format("that is a member (YTCAPTION_COOKIES_FILE)"),
    MediaPrivate: _ACCOUNT.format("that may see it (YTCAPTION_COOKIES_FILE)"),
    MediaRegionRestricted: "Who runs this installation can go out through a proxy in another "
    f"country (YTCAPTION_PROXIES). {_MORE}",
}
_ROBOT = re.compile(r"not a bot|as a bot|captcha|unusual traffic|requests automated", re.I)
_ROBOT_HELP = (
    "What helps, in this order: longer pauses (YTCAPTION_BULK_PAUSE_S), PO tokens "
    "(YTCAPTION_PO_TOKEN_PROVIDER), another way out (YTCAPTION_PROXIES), an account's cookies "
    f"(YTCAPTION_COOKIES_FILE). {_MORE}"
)
_TOO_MUCH_HELP = (
    "What helps: longer pauses (YTCAPTION_BULK_PAUSE_S, YTCAPTION_LISTS_PER_MINUTE), else another "
    f"way out (YTCAPTION_PROXIES). {_MORE}"
)
_NOTHING_TO_TAKE = re.compile(
    r"requested format is not available|no video formats|no formats|HTTP Error 403", re.I
)
_JS_MISSING = re.compile(r"no supported javascript runtime|challenge solving failed|"
                         r"signature solving failed", re.I)  # fmt: skip
_PO_TOKEN = re.compile(r"PO Token", re.I)
_DRM = re.compile(r"DRM protected", re.I)
_SABR = re.compile(r"SABR|missing a URL", re.I)
_OLD_COOKIES = re.compile(r"cookies are no longer valid", re.I)


def advised(error: YtcaptionError, said: str, warnings: Sequence[str]) -> YtcaptionError:
    """The error with what helps against it; another one where yt-dlp's warnings tell more.

    Args:
        said: by yt-dlp, as the failure.
        warnings: its warnings on the way there.
    """
    warned = " ".join(warnings)
    if isinstance(error, SourceError) and _NOTHING_TO_TAKE.search(said):
        better = _of_warnings(error, warned)
        if better is not None:
            return better
    help_ = _help(error, said, warned)
    return error if help_ is None else type(error)(f"{error} {help_}")


def _of_warnings(error: SourceError, warned: str) -> YtcaptionError | None:
    """Why there is nothing to take, where yt-dlp has said so before."""
    if _JS_MISSING.search(warned):
        return JsRuntimeMissing(
            "The site's player could not be run, so there is nothing to download. Who runs this "
            "installation reinstalls the package deno and updates yt-dlp."
        )
    if _PO_TOKEN.search(warned):
        help_ = (
            "Who runs this installation sets YTCAPTION_PO_TOKEN_PROVIDER, or other players by "
            f"YTCAPTION_YOUTUBE_CLIENTS. {_MORE}"
        )
        if isinstance(error, SourceBlocked):
            return SourceBlocked(f"{error} The site wants a PO token. {help_}")
        return PoTokenMissing(f"The site gives its media with a PO token only. {help_}")
    if isinstance(error, SourceBlocked):
        return None
    if _DRM.search(warned):
        return DrmProtected("All that the site offers is encrypted (DRM). Upload the file.")
    if _SABR.search(warned):
        return type(error)(
            f"{error} The site gives this player streams only that cannot be stored. Who runs this "
            f"installation sets other players by YTCAPTION_YOUTUBE_CLIENTS. {_MORE}"
        )
    return None


def _help(error: YtcaptionError, said: str, warned: str) -> str | None:
    needs_account = isinstance(error, SourceBlocked | MediaAgeRestricted | MediaPrivate)
    if needs_account and _OLD_COOKIES.search(warned):
        return (
            "The cookies of this installation are not valid any more: who runs it exports them "
            f"anew (YTCAPTION_COOKIES_FILE). {_MORE}"
        )
    if type(error) is SourceBlocked:
        return _ROBOT_HELP if _ROBOT.search(said) else _TOO_MUCH_HELP
    return _BY_CLASS.get(type(error))
