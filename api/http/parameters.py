"""Parameters that several routes take."""

from typing import Annotated

from fastapi import Depends, Path

from ytcaption.domain.errors import TranscriptionNotFound
from ytcaption.domain.request import is_partition_key


async def _transcription_id(
    id: Annotated[
        str,
        Path(
            description="As the request for it was answered: `<media>.<26 characters>`.",
            examples=["youtube-dQw4w9WgXcQ.k3zt5mxnq7ka2c6vpo4wy2jdhe"],
        ),
    ],
) -> str:
    """An id that can exist; no other is looked up.

    Raises:
        TranscriptionNotFound: `partition_key()` makes no such id.
    """
    if not is_partition_key(id):
        raise TranscriptionNotFound("There is no such transcription.")
    return id


TranscriptionId = Annotated[str, Depends(_transcription_id)]
