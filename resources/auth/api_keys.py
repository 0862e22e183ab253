"""API keys: `ytc_<id>_<secret>`. Of the secret its SHA-256 is kept, so nobody can read it back."""

import base64
import hashlib
import re
import secrets
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import LiteralString, cast

from psycopg.rows import DictRow

from resources.auth.api_key_rows import ApiKeyRow, api_key_row
from resources.postgres.connection import Postgres, Role
from ytcaption.domain.caller import SCOPES, Limits
from ytcaption.domain.errors import ApiKeyNotFound, InvalidOption
from ytcaption.settings import Settings

_TOKEN = re.compile(r"ytc_([a-z2-7]{16})_([a-z2-7]{32})")
_SPAN = re.compile(r"([1-9][0-9]{0,4})([hdw])")
_HOURS = {"h": 1, "d": 24, "w": 7 * 24}


@dataclass(frozen=True)
class NewApiKey:
    """A key that was just made.

    Attributes:
        token: what its holder sends. Nobody can read it again.
    """

    row: ApiKeyRow
    token: str


class ApiKeys:
    """Every statement on `ytcaption.api_key`."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    @classmethod
    def from_settings(cls, settings: Settings, role: Role = "admin") -> "ApiKeys":
        """With the rights of one part."""
        return cls(Postgres.from_settings(settings, role))

    def create(
        self,
        name: str,
        scopes: Collection[str],
        *,
        expires_in: timedelta | None = None,
        limits: Limits | None = None,
    ) -> NewApiKey:
        """A new key.

        Args:
            name: for people, 1 to 100 printable characters.
            scopes: one or more of `SCOPES`.
            expires_in: from now on; None is never.
            limits: None is the settings' numbers, each.

        Raises:
            InvalidOption: the name or the scopes cannot be used.
        """
        limits = limits or Limits()
        name, known = name.strip(), [scope for scope in SCOPES if scope in scopes]
        if not 1 <= len(name) <= 100 or not name.isprintable():
            raise InvalidOption("A key's name has 1 to 100 printable characters.")
        if not known or set(scopes) - set(SCOPES):
            raise InvalidOption(f"A key has one or more of the scopes {', '.join(SCOPES)}.")
        # 80 and 160 bits: the id is written into logs and lists, the secret nowhere.
        id, secret = _base32(10), _base32(20)
        with self._postgres.transaction() as connection:
            row = connection.execute(
                """
                insert into ytcaption.api_key (
                    id, name, secret_sha256, scopes, requests_per_minute,
                    concurrent_transcriptions, audio_minutes_per_day, expires_at
                )
                values (%s, %s, %s, %s, %s, %s, %s, now() + %s)
                returning *
                """,
                (
                    *(id, name, secret_sha256(secret), known),
                    limits.requests_per_minute or None,
                    limits.concurrent_transcriptions or None,
                    limits.audio_minutes_per_day or None,
                    expires_in,
                ),
            ).fetchone()
        return NewApiKey(api_key_row(cast(DictRow, row)), f"ytc_{id}_{secret}")

    def all(self) -> list[ApiKeyRow]:
        """All of them, revoked and expired ones too, the newest first."""
        with self._postgres.transaction() as connection:
            rows = connection.execute(
                "select * from ytcaption.api_key order by created_at desc, id"
            ).fetchall()
        return [api_key_row(row) for row in rows]

    def revoke(self, id: str) -> ApiKeyRow:
        """Ends a key; servers notice within seconds. Its channels are paused, and an operator may
        resume them. Revoking again changes nothing.

        Raises:
            ApiKeyNotFound: no such id.
        """
        return self._ended(
            "update ytcaption.api_key set revoked_at = coalesce(revoked_at, now()) "
            "where id = %s returning *",
            id,
        )

    def rotate(self, id: str) -> NewApiKey:
        """Another secret for the same key: what was asked for with it stays its own.

        Raises:
            ApiKeyNotFound: no such id, or it was revoked.
        """
        secret = _base32(20)
        row = self._changed(
            "update ytcaption.api_key set secret_sha256 = %s "
            "where id = %s and revoked_at is null returning *",
            secret_sha256(secret),
            id,
        )
        return NewApiKey(row, f"{row.prefix}_{secret}")

    def forget(self, id: str) -> ApiKeyRow:
        """Ends a key, as `revoke`, and takes its row away. With no row left the API is open on
        loopback again.

        Raises:
            ApiKeyNotFound: no such id.
        """
        return self._ended("delete from ytcaption.api_key where id = %s returning *", id)

    def exist(self) -> bool:
        """Whether any was ever made: one that was revoked or has expired opens no door again."""
        # Asked before anything starts, perhaps in vain: a pool would try on for seconds.
        with self._postgres.own_connection() as connection:
            row = connection.execute("select exists (select from ytcaption.api_key) as found")
            return bool(cast(DictRow, row.fetchone())["found"])

    def used(self, ids: Iterable[str]) -> None:
        """These were used now; written at most once a minute each, whoever asks."""
        with self._postgres.transaction() as connection:
            connection.execute(
                """
                update ytcaption.api_key set last_used_at = now()
                where id = any(%s)
                    and (last_used_at is null or last_used_at <= now() - interval '1 minute')
                """,
                (sorted(ids),),
            )

    def _ended(self, statement: LiteralString, id: str) -> ApiKeyRow:
        with self._postgres.transaction() as connection:
            before = connection.execute(
                "select revoked_at from ytcaption.api_key where id = %s for update", (id,)
            ).fetchone()
            row = _found(connection.execute(statement, (id,)).fetchone())
            if before is not None and before["revoked_at"] is None:
                connection.execute(
                    "update ytcaption.channel set paused_at = now(), updated_at = now() "
                    "where owner = %s and paused_at is null",
                    (row.caller.owner,),
                )
        return row

    def _changed(self, statement: LiteralString, *values: str) -> ApiKeyRow:
        with self._postgres.transaction() as connection:
            return _found(connection.execute(statement, values).fetchone())


def _found(row: DictRow | None) -> ApiKeyRow:
    if row is None:
        raise ApiKeyNotFound(
            "There is no such key, or it was revoked. `ytcaption keys list` shows their ids."
        )
    return api_key_row(row)


def parse_token(token: str) -> tuple[str, str] | None:
    """Id and secret of `ytc_<id>_<secret>`; None where it is no key of ours."""
    match = _TOKEN.fullmatch(token)
    return None if match is None else (match[1], match[2])


def secret_sha256(secret: str) -> str:
    """What is kept of a secret. 160 random bits need no salt and no slow hash."""
    return hashlib.sha256(secret.encode()).hexdigest()


def parse_span(text: str) -> timedelta:
    """`12h`, `90d` or `2w`.

    Raises:
        InvalidOption: none of these.
    """
    match = _SPAN.fullmatch(text.strip().lower())
    if match is None:
        raise InvalidOption(f"'{text[:20]}' is no span of time. Write 12h, 90d or 4w.")
    return timedelta(hours=int(match[1]) * _HOURS[match[2]])


def _base32(size_bytes: int) -> str:
    """Random letters and digits; `size_bytes` is a multiple of five."""
    return base64.b32encode(secrets.token_bytes(size_bytes)).decode().lower()
