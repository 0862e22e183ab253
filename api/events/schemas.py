"""What the events of a stream hold."""

from typing import Annotated

from pydantic import BaseModel, Field

from api.http.schemas import Failure
from api.transcriptions.schemas import Progress, WaitingRead
from ytcaption.domain.request import TranscriptionStatus


class StateEvent(BaseModel):
    """`state`: first of all, and whenever it changes."""

    status: TranscriptionStatus
    stage: str | None
    attempt: Annotated[int, Field(description="From 1.")]
    error: Annotated[Failure | None, Field(description="Of the last attempt that failed.")]
    waiting_for: Annotated[
        WaitingRead | None, Field(description="While it waits for more than its turn.")
    ] = None


class ProgressEvent(Progress):
    """`progress`: how far the stage is, while one works."""


class SegmentEvent(BaseModel):
    """`segment`: as it is in the result. It comes while the audio is decoded."""

    index: int
    start_s: float
    end_s: float
    text: str


class ResetEvent(BaseModel):
    """`reset`: the segments so far are void; what follows begins at index 0."""

    attempt: int


class EndEvent(BaseModel):
    """`completed`, `failed` or `canceled`: nothing comes after it."""

    id: str
    status: TranscriptionStatus
    status_url: str
    result_url: Annotated[str | None, Field(description="With `completed`.")] = None
    error: Annotated[Failure | None, Field(description="With `failed`.")] = None
