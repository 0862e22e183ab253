"""API keys: `ytc_<id>_<secret>`. Only the SHA-256 of a secret is stored."""

import base64
import hashlib
import re
import secrets
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, LiteralString, cast

from psycopg import Connection
from psycopg.rows import DictRow

from resources.postgres.connection import Postgres, Role
from ytcaption.domain.caller import SCOPES, Caller, Limits, Scope
from ytcaption.domain.errors import ApiKeyNotFound, InvalidOption
from ytcaption.settings.settings import Settings

_TOKEN = re.compile(r"ytc_([a-z2-7]{16})_([a-z2-7]{32})")
_SPAN = re.compile(r"([1-9][0-9]{0,4})([hdw])")
_HOURS = {"h": 1, "d": 24, "w": 7 * 24}


@dataclass(frozen=True)
class ApiKeyRow:
    """One stored key.

    Attributes:
        secret_sha256: hex; never shown.
        scopes: in the order read, write, admin.
        expires_at: None: never.
        last_used_at: to the minute; None: never.
    """

    id: str
    name: str
    secret_sha256: str
    scopes: tuple[Scope, ...]
    limits: Limits
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None

    @property
    def prefix(self) -> str:
        """Return the beginning of the key, for recognition."""
        return f"ytc_{self.id}"

    @property
    def caller(self) -> Caller:
        """Return the caller who sends this key."""
        return Caller(f"key:{self.id}", frozenset(self.scopes), self.limits, self.id)

    def is_valid_at(self, now: datetime) -> bool:
        """Return whether the key is accepted: neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


@dataclass(frozen=True)
class NewApiKey:
    """A key with a new secret.

    Attributes:
        token: the whole key; it cannot be read again.
    """

    row: ApiKeyRow
    token: str


class ApiKeys:
    """Every statement on `ytcaption.api_key`."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    @classmethod
    def from_settings(cls, settings: Settings, role: Role = "admin") -> "ApiKeys":
        """Return the store, with the rights of one part."""
        return cls(Postgres.from_settings(settings, role))

    def create(
        self,
        name: str,
        scopes: Collection[str],
        *,
        expires_in: timedelta | None = None,
        limits: Limits | None = None,
    ) -> NewApiKey:
        """Create a key.

        Args:
            name: for people, 1 to 100 printable characters.
            scopes: one or more of `SCOPES`.
            expires_in: from now; None: never.
            limits: each that is None is the settings'.

        Raises:
            InvalidOption: the name or the scopes are not valid.
        """
        limits = limits or Limits()
        name, known = name.strip(), [scope for scope in SCOPES if scope in scopes]
        if not 1 <= len(name) <= 100 or not name.isprintable():
            raise InvalidOption("A key's name has 1 to 100 printable characters.")
        if not known or set(scopes) - set(SCOPES):
            raise InvalidOption(f"A key has one or more of the scopes {', '.join(SCOPES)}.")
        # 80 and 160 bits: the id appears in logs and lists, the secret nowhere.
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
        return NewApiKey(_api_key_row(cast(DictRow, row)), f"ytc_{id}_{secret}")

    def all(self) -> list[ApiKeyRow]:
        """Return all keys, also revoked and expired ones, the newest first."""
        with self._postgres.transaction() as connection:
            rows = connection.execute(
                "select * from ytcaption.api_key order by created_at desc, id"
            ).fetchall()
        return [_api_key_row(row) for row in rows]

    def revoke(self, id: str) -> ApiKeyRow:
        """Revoke a key and pause its channels, which an operator may resume.

        Servers refuse the key within seconds. Revoking it again changes nothing.

        Raises:
            ApiKeyNotFound: no such id.
        """
        return self._ended(
            "update ytcaption.api_key set revoked_at = coalesce(revoked_at, now()) "
            "where id = %s returning *",
            id,
        )

    def rotate(self, id: str) -> NewApiKey:
        """Give a key another secret; its requests stay its own.

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

    def delete(self, id: str) -> ApiKeyRow:
        """Revoke a key and delete its row. Without any row the API is open on loopback again.

        Raises:
            ApiKeyNotFound: no such id.
        """
        return self._ended("delete from ytcaption.api_key where id = %s returning *", id)

    def expired(self) -> list[str]:
        """Return the owners whose keys have expired without `end_expired` having ended them."""
        with self._postgres.transaction() as connection:
            rows = connection.execute("select owner from ytcaption.expired_key order by owner")
            return [row["owner"] for row in rows]

    def end_expired(self) -> list[str]:
        """End expired keys as `revoke` does: nothing is sent to their webhooks and callbacks any
        more, and their channels are paused. Return their owners."""
        with self._postgres.transaction() as connection:
            rows = connection.execute(
                """
                update ytcaption.api_key set expiry_applied_at = now()
                where 'key:' || id in (select owner from ytcaption.expired_key)
                returning 'key:' || id as owner
                """
            ).fetchall()
            owners = sorted(row["owner"] for row in rows)
            _pause_channels(connection, owners)
        return owners

    def any_exist(self) -> bool:
        """Return whether there is any key: even a revoked or expired one keeps the API closed."""
        # Called before the database may have started: a pool would retry for seconds.
        with self._postgres.own_connection() as connection:
            row = connection.execute("select exists (select from ytcaption.api_key) as found")
            return bool(cast(DictRow, row.fetchone())["found"])

    def record_use(self, ids: Iterable[str]) -> None:
        """Record that these keys are used now, at most once a minute each."""
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
            row = _existing(connection.execute(statement, (id,)).fetchone())
            if before is not None and before["revoked_at"] is None:
                _pause_channels(connection, [row.caller.owner])
        return row

    def _changed(self, statement: LiteralString, *values: str) -> ApiKeyRow:
        with self._postgres.transaction() as connection:
            return _existing(connection.execute(statement, values).fetchone())


def _pause_channels(connection: Connection[DictRow], owners: list[str]) -> None:
    connection.execute(
        "update ytcaption.channel set paused_at = now(), updated_at = now() "
        "where owner = any(%s) and paused_at is null",
        (owners,),
    )


def _existing(row: DictRow | None) -> ApiKeyRow:
    if row is None:
        raise ApiKeyNotFound(
            "There is no such key, or it was revoked. `ytcaption keys list` shows their ids."
        )
    return _api_key_row(row)


def _api_key_row(row: DictRow) -> ApiKeyRow:
    limits = Limits(
        row["requests_per_minute"], row["concurrent_transcriptions"], row["audio_minutes_per_day"]
    )
    # By name: a later version may have added columns.
    values: dict[str, Any] = {"scopes": tuple(row["scopes"]), "limits": limits}
    names = ApiKeyRow.__dataclass_fields__.keys() - values.keys()
    return ApiKeyRow(**values, **{name: row[name] for name in names})


def parse_token(token: str) -> tuple[str, str] | None:
    """Return id and secret of `ytc_<id>_<secret>`; None for any other text."""
    match = _TOKEN.fullmatch(token)
    return None if match is None else (match[1], match[2])


def secret_sha256(secret: str) -> str:
    """Return the hash to store: 160 random bits need no salt and no slow hash."""
    return hashlib.sha256(secret.encode()).hexdigest()


def parse_span(text: str) -> timedelta:
    """Parse `12h`, `90d` or `2w`.

    Raises:
        InvalidOption: the text has another form.
    """
    match = _SPAN.fullmatch(text.strip().lower())
    if match is None:
        raise InvalidOption(f"'{text[:20]}' is not a time span. Write 12h, 90d or 4w.")
    return timedelta(hours=int(match[1]) * _HOURS[match[2]])


def _base32(size_bytes: int) -> str:
    """Return random letters and digits; `size_bytes` is a multiple of five."""
    return base64.b32encode(secrets.token_bytes(size_bytes)).decode().lower()
