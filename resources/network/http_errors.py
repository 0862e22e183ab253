"""Maps a server's status to an error with a sentence for a person."""

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
MAX_RETRY_AFTER_S = 3600.0
"""Longest wait that a `Retry-After` may impose."""


def refusal_of_status(
    status: int, what: str = "media", instead: str = f" {UPLOAD_IT}"
) -> YtcaptionError:
    """Return the error for a status other than success.

    Args:
        what: the kind of thing that was requested.
        instead: what a person can do if the server refuses it.
    """
    answered = f"The server answered {status}"
    if status == 404:
        return MediaNotFound(f"{answered}: there is nothing at this link. Check it.")
    if status == 410:
        return MediaRemoved(f"{answered}: the {what} was removed.{instead}")
    if status in (401, 402, 407):
        return MediaPrivate(f"{answered}: the {what} is shown after a login or payment.{instead}")
    if status == 451:
        return MediaRestricted(f"{answered}: the {what} is withheld for legal reasons.{instead}")
    if status in (403, 429):
        return SourceBlocked(f"{answered}: it refuses this machine for now. Try again later.")
    if status in (408, 425) or status >= 500:
        return SourceUnavailable(f"{answered}: it has a problem. Try again later.")
    return SourceError(f"{answered} and gave no {what}.")
