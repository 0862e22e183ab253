"""Schemas of errors."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from ytcaption.domain.request import TranscriptionStatus


class Failure(BaseModel):
    """Why the last attempt failed."""

    code: Annotated[str, Field(description="Stable; the documentation lists the codes.")]
    message: Annotated[str, Field(description="What happened and what to do.")]


class FieldError(BaseModel):
    """One error in a request."""

    detail: str
    code: str
    pointer: Annotated[
        str | None, Field(description="Location in the body, as a JSON pointer: `#/metadata`.")
    ]
    parameter: Annotated[
        str | None, Field(description="Location outside the body: `query format`.")
    ]


class Problem(BaseModel):
    """RFC 9457: what went wrong and what to do."""

    model_config = ConfigDict(extra="allow")

    type: Annotated[str, Field(description="`urn:ytcaption:problem:<code>`.")]
    title: str
    status: int
    detail: str
    code: Annotated[str, Field(description="Stable: match on this field.")]
    request_id: Annotated[
        str, Field(description="Also in `X-Request-Id`; identifies the log lines.")
    ]
    errors: Annotated[list[FieldError], Field(description="With `invalid_request`.")] = []
    transcription_status: Annotated[
        TranscriptionStatus | None, Field(description="With `result_not_ready`.")
    ] = None
    error: Annotated[
        Failure | None, Field(description="With `result_not_ready` of a failed transcription.")
    ] = None
