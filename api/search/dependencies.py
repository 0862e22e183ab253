"""Dependencies."""

from typing import Annotated

from api.dependencies import _part
from resources.search.service import Search

SearchDep = Annotated[Search, _part("search")]
