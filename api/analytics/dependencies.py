"""Dependencies."""

from typing import Annotated

from api.analytics.service import Analytics
from api.dependencies import _part

AnalyticsDep = Annotated[Analytics, _part("analytics")]
