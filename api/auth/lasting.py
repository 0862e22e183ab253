"""Whether the caller of a response that takes long may still receive it."""

import time

from starlette.datastructures import Headers

from api.auth.authentication import Authenticator
from ytcaption.domain.caller import LOCAL, Caller, Scope
from ytcaption.domain.errors import Unauthenticated

CHECK_EVERY_S = 15.0
"""With the age of cached keys: a response ends within 30 s of its key."""


class LastingAuthorization:
    """The authorization of one request: keys are revoked and tokens expire before it is answered.

    Args:
        headers: of the request, with its key or token.
        scope: what the caller needs to receive the response.
    """

    def __init__(
        self, authenticator: Authenticator, caller: Caller, headers: Headers, scope: Scope
    ) -> None:
        self._authenticator = authenticator
        self._caller, self._headers = caller, headers
        self._scope: Scope = scope
        self._checked_at = time.monotonic()

    async def holds(self) -> bool:
        """Return whether the caller may still receive.

        Raises:
            DatabaseUnavailable: the keys cannot be read.
        """
        if self._caller == LOCAL:
            return await self._authenticator.is_open()
        try:
            current = await self._authenticator.caller(self._headers)
        except Unauthenticated:
            return False
        return current.owner == self._caller.owner and current.may(self._scope)

    async def check(self) -> None:
        """Check it, unless it was checked in the last `CHECK_EVERY_S`.

        Raises:
            Unauthenticated: it has ended.
            DatabaseUnavailable: the keys cannot be read.
        """
        if time.monotonic() - self._checked_at < CHECK_EVERY_S:
            return
        if not await self.holds():
            raise Unauthenticated("The key or token of this request is no longer valid.")
        self._checked_at = time.monotonic()
