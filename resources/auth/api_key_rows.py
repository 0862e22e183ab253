"""A row of `ytcaption.api_key`, and the caller that its key makes."""

from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import DictRow

from ytcaption.domain.caller import Caller, Limits, Scope


@dataclass(frozen=True)
class ApiKeyRow:
    """One key.

    Attributes:
        secret_sha256: hex; not shown to anybody.
        scopes: in the order read, write, admin.
        expires_at: None is never.
        last_used_at: to the minute; None is never.
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
        """How the key begins, for recognition."""
        return f"ytc_{self.id}"

    @property
    def caller(self) -> Caller:
        """Who comes with it."""
        return Caller(f"key:{self.id}", frozenset(self.scopes), self.limits, self.id)

    def holds_at(self, now: datetime) -> bool:
        """Whether it opens the door: neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


def api_key_row(row: DictRow) -> ApiKeyRow:
    """The row as the database gives it."""
    limits = Limits(
        row.pop("requests_per_minute"),
        row.pop("concurrent_transcriptions"),
        row.pop("audio_minutes_per_day"),
    )
    return ApiKeyRow(scopes=tuple(row.pop("scopes")), limits=limits, **row)
