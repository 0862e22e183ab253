"""Dependencies."""

from typing import Annotated

from api.dependencies import _part
from api.monitoring.readiness import Readiness

ReadinessDep = Annotated[Readiness, _part("readiness")]
