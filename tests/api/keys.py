"""API keys for tests in which several callers come."""

from typing import Literal

from resources.auth.api_keys import ApiKeys
from ytcaption.settings import Settings

Name = Literal["anna", "bert", "stranger", "reader", "admin"]


class Keys:
    """A key a name: `admin` may all, `reader` may read, the others may read and write.

    Made before the app starts: a process learns within a second that the first key exists.
    """

    def __init__(self, settings: Settings) -> None:
        api_keys = ApiKeys.from_settings(settings)
        scopes = {"admin": ["admin"], "reader": ["read"]}
        self._made = {
            name: api_keys.create(name, scopes.get(name, ["read", "write"]))
            for name in ("anna", "bert", "stranger", "reader", "admin")
        }

    def header(self, name: Name) -> dict[str, str]:
        """What this caller sends."""
        return {"Authorization": f"Bearer {self._made[name].token}"}

    def owner(self, name: Name) -> str:
        """As `Caller.owner` says."""
        return f"key:{self._made[name].row.id}"
