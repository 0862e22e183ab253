"""A server's status as an error of ours, with a sentence for a person."""

from ytcaption.domain.errors import (
    MediaNotFound,
    MediaPrivate,
    MediaRemoved,
    MediaRestricted,
    SourceBlocked,
    SourceError,
    SourceUnavailable,
    YtcaptionError,
)

UPLOAD_IT = "If you have the file, upload it."
LONGEST_WAIT_S = 3600.0
"""As long a `Retry-After` is heeded."""


def refusal_of_status(
    status: int, what: str = "media", instead: str = f" {UPLOAD_IT}"
) -> YtcaptionError:
    """The error that a status other than success means.

    Args:
        what: was asked for.
        instead: what a person can do where it is not given.
    """
    told = f"The server answered {status}"
    if status == 404:
        return MediaNotFound(f"{told}: there is nothing at this link. Check it.")
    if status == 410:
        return MediaRemoved(f"{told}: the {what} was removed.{instead}")
    if status in (401, 402, 407):
        return MediaPrivate(f"{told}: the {what} is shown after a login or payment.{instead}")
    if status == 451:
        return MediaRestricted(f"{told}: the {what} is withheld for legal reasons.{instead}")
    if status in (403, 429):
        return SourceBlocked(f"{told}: it refuses this machine for now. Try again later.")
    if status in (408, 425) or status >= 500:
        return SourceUnavailable(f"{told}: it is in trouble. Try again later.")
    return SourceError(f"{told} and gave no {what}.")
