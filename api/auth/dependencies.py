"""Dependencies."""

from typing import Annotated

from api.auth.identity import Authenticator
from api.dependencies import _part

AuthenticatorDep = Annotated[Authenticator, _part("door")]
