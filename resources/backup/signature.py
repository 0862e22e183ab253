"""The signature of a backup: HMAC-SHA256 of its manifest, which names the hash of every file."""

import hashlib
import hmac

from ytcaption.domain.errors import InputError


def signature(keys: str, manifest: bytes) -> bytes:
    """Return the signature's file.

    Args:
        keys: `YTCAPTION_BACKUP_KEY`; of several the first signs.
    """
    return f"{_hmac(keys.split()[0], manifest)}\n".encode()


def check_signature(keys: str, manifest: bytes, stored: bytes | None) -> None:
    """Compare a backup's signature with those that the keys make.

    Args:
        stored: the signature's file; None if there is none.

    Raises:
        InputError: it is missing or made with another key.
    """
    given = (stored or b"").strip()
    if not given:
        raise InputError(
            "The backup is not signed, and YTCAPTION_BACKUP_KEY is set. Nothing was restored. If "
            "you trust the backup, unset YTCAPTION_BACKUP_KEY for this command."
        )
    # All are compared: the time taken does not depend on which one fits.
    matches = [hmac.compare_digest(_hmac(key, manifest).encode(), given) for key in keys.split()]
    if not any(matches):
        raise InputError(
            "The backup was changed since it was made, or was signed with another "
            "YTCAPTION_BACKUP_KEY. Nothing was restored. Use another backup, or the key it was "
            "made with."
        )


def _hmac(key: str, manifest: bytes) -> str:
    return hmac.new(key.encode(), manifest, hashlib.sha256).hexdigest()
