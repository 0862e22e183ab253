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
        description="Your name for this request, such as a UUID. The same request within 24 hours "
        "gets the same answer and adds nothing; another body with the same key is refused.",
        examples=["8e03978e-40d5-43e8-bc93-6894a57f9324"],
    ),
]


def idempotency(key: str | None, body: BaseModel, *more: Any) -> IdempotencyKey | None:
    """Return the key with the hash of the request; None without a key.

    Hashes are stored for 24 hours, so a release must compute the same ones as the release before:
    the schema's name and the name of `pinned` are the old ones.

    Args:
        body: the parsed body, so that spaces and the order of fields make no difference.
        more: what else identifies the request, such as an upload's checksum.
    """
    if key is None:
        return None
    fields = body.model_dump(mode="json")
    if "pinned" in fields:
        fields["keep"] = fields.pop("pinned")
    name = getattr(body, "idempotency_name", type(body).__name__)
    content = json.dumps([name, fields, *more], sort_keys=True)
    return IdempotencyKey(key, hashlib.sha256(content.encode()).hexdigest())
