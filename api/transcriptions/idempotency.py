"""The header `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header-07)."""

import hashlib
import json
from typing import Annotated, Any

from fastapi import Header
from pydantic import BaseModel

from resources.transcriptions.idempotency import IdempotencyKey

IdempotencyHeader = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        pattern="^[ -~]*$",
        description="Your name for this request, such as a UUID. The same again within 24 hours is "
        "answered the same and adds nothing; with another body it is refused.",
        examples=["8e03978e-40d5-43e8-bc93-6894a57f9324"],
    ),
]


def idempotency(key: str | None, asked: BaseModel, *more: Any) -> IdempotencyKey | None:
    """The key with the hash of what is asked for; None without a key.

    Args:
        asked: the body as it was read, so that spaces and the order of fields make no difference.
        more: what else makes the request another one, such as an upload's checksum.
    """
    if key is None:
        return None
    body = [type(asked).__name__, asked.model_dump(mode="json"), *more]
    return IdempotencyKey(
        key, hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    )
