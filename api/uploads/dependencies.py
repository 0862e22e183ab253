"""Dependencies."""

from typing import Annotated

from api.dependencies import _part
from api.uploads.intake import UploadIntake

UploadIntakeDep = Annotated[UploadIntake, _part("uploads")]
