"""API keys for tests with several callers."""

from typing import Literal

from resources.auth.api_keys import ApiKeys
from ytcaption.settings.settings import Settings

Name = Literal["anna", "bert", "clara", "reader", "admin"]


class Keys:
    """One key per name: `admin` may do everything, `reader` may read, the others read and write.
    Create them before the app starts: a process notices within a second that the first key exists.
    """

    def __init__(self, settings: Settings) -> None:
        api_keys = ApiKeys.from_settings(settings)
        scopes = {"admin": ["admin"], "reader": ["read"]}
        self._made = {
            name: api_keys.create(name, scopes.get(name, ["read", "write"]))
            for name in ("anna", "bert", "clara", "reader", "admin")
        }

    def header(self, name: Name) -> dict[str, str]:
        """Return the header that this caller sends."""
        return {"Authorization": f"Bearer {self._made[name].token}"}

    def owner(self, name: Name) -> str:
        """Return the owner as `Caller.owner` has it."""
        return f"key:{self._made[name].row.id}"
