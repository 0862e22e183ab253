"""The data of server-sent events."""

from typing import Annotated

from pydantic import BaseModel, Field

from api.http.schemas import Failure
from api.transcriptions.schemas import Progress, WaitReason
from ytcaption.domain.request import TranscriptionStatus


class StateEvent(BaseModel):
    """`state`: first of all, and whenever it changes."""

    status: TranscriptionStatus
    stage: str | None
    attempt: Annotated[int, Field(description="From 1.")]
    error: Annotated[Failure | None, Field(description="Of the last attempt that failed.")]
    waiting_for: Annotated[
        WaitReason | None, Field(description="Set while it waits for more than its position.")
    ] = None


class ProgressEvent(Progress):
    """`progress`: how far the current stage is."""


class SegmentEvent(BaseModel):
    """`segment`: as in the result. Sent while the audio is transcribed."""

    index: int
    start_s: float
    end_s: float
    text: str


class ResetEvent(BaseModel):
    """`reset`: the segments so far are void; the following ones start at index 0."""

    attempt: int


class EndEvent(BaseModel):
    """`completed`, `failed` or `canceled`: the last event."""

    id: str
    status: TranscriptionStatus
    status_url: str
    result_url: Annotated[str | None, Field(description="With `completed`.")] = None
    error: Annotated[Failure | None, Field(description="With `failed`.")] = None
