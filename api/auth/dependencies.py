"""Dependencies."""

from typing import Annotated

from api.auth.identity import Door
from api.dependencies import _part

DoorDep = Annotated[Door, _part("door")]
