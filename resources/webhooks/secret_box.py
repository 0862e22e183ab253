"""Encryption of the webhooks' secrets in the database (docs/adr/security-rules.md#rule-23).

The key is not in the database: it is a setting, or a file of the home that is created when first
needed. With several keys the first encrypts and all decrypt, so that a key can be replaced.
"""

import os
import secrets
from contextlib import suppress
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from resources.disk import fsync
from ytcaption.domain.errors import SecretUnreadable, SetupError
from ytcaption.settings.settings import Settings
from ytcaption.settings.small_file import read_small_text

MAX_KEY_BYTES = 64 * 1024


class SecretBox:
    """Encrypts and decrypts with this installation's key."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._keys: MultiFernet | None = None

    def seal(self, secret: str) -> str:
        """Return the secret encrypted.

        Raises:
            SetupError: the key is not valid, or its file cannot be created.
        """
        return self._fernet().encrypt(secret.encode()).decode()

    def open(self, sealed: str) -> str:
        """Return the secret.

        Raises:
            SecretUnreadable: it was encrypted with another key.
            SetupError: as `seal`.
        """
        try:
            return self._fernet().decrypt(sealed.encode()).decode()
        except InvalidToken:
            raise SecretUnreadable(
                "A webhook's secret was encrypted with another key. Restore webhook.key, or the "
                "value of YTCAPTION_WEBHOOK_KEY, or rotate the secret."
            ) from None

    def _fernet(self) -> MultiFernet:
        if self._keys is None:
            setting = self._settings.operation.webhook_key
            text = key_file(self._settings.home) if setting is None else setting.get_secret_value()
            try:
                self._keys = MultiFernet([Fernet(key) for key in text.replace(",", " ").split()])
            except ValueError:
                raise SetupError(
                    "The key of webhooks' secrets is not valid: YTCAPTION_WEBHOOK_KEY, or "
                    "webhook.key under the home, must be 32 bytes in URL-safe base64."
                ) from None
        return self._keys


def key_file(home: Path) -> str:
    """Return the key in the home's file, which is created if missing, for this user alone.

    Raises:
        SetupError: it cannot be read or written.
    """
    path = home / "webhook.key"
    try:
        if not path.exists():
            home.mkdir(parents=True, exist_ok=True)
            draft = path.with_suffix(f".{secrets.token_hex(8)}")
            try:
                draft.touch(mode=0o600)
                draft.write_bytes(Fernet.generate_key() + b"\n")
                fsync(draft)
                with suppress(FileExistsError):  # another process has created it meanwhile
                    os.link(draft, path)
                fsync(home)
            finally:
                draft.unlink(missing_ok=True)
        return read_small_text(path, MAX_KEY_BYTES)
    except OSError as error:
        raise SetupError(f"{path} cannot be used: {error.strerror}.") from error
