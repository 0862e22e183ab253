"""Dependencies of routes that need the authenticator."""

from typing import Annotated

from api.auth.authentication import Authenticator
from api.dependencies import part

AuthenticatorDep = Annotated[Authenticator, part("authenticator")]
