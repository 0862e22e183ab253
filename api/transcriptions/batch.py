"""Many requests in one body, each read and answered for itself."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, WithJsonSchema

from api.http.errors import HTTP_CODES, problem_body, status_of_code
from api.http.invalid_request import MOST_FIELDS, field_error, fields_detail
from api.http.schemas import Problem
from api.transcriptions.accepted import accepted_view
from api.transcriptions.request_schemas import TranscriptionCreate
from api.transcriptions.schemas import TranscriptionAccepted
from resources.transcriptions.rows import Refusal, Submission

MOST_ITEMS = 1_000

_ITEMS = {
    "type": "array",
    "minItems": 1,
    "maxItems": MOST_ITEMS,
    # What is no request is answered in its place: it does not make the whole batch wrong.
    "items": {"anyOf": [{"$ref": "#/components/schemas/TranscriptionCreate"}, {}]},
}


class TranscriptionBatch(BaseModel):
    """Many media to transcribe."""

    model_config = ConfigDict(extra="forbid")

    items: Annotated[
        list[JsonValue],
        Field(min_length=1, max_length=MOST_ITEMS, description="Each as in a request of its own."),
        WithJsonSchema(_ITEMS),
    ]


class BatchItem(BaseModel):
    """What became of one item."""

    index: Annotated[int, Field(description="In `items`, from 0.")]
    status: Annotated[int, Field(description="As a request of its own would be answered.")]
    transcription: Annotated[TranscriptionAccepted | None, Field(description="With 202.")] = None
    problem: Annotated[Problem | None, Field(description="With any other status.")] = None


class BatchAnswer(BaseModel):
    """What became of each item, in their order."""

    accepted: int
    refused: int
    items: list[BatchItem]


def read_items(batch: TranscriptionBatch) -> list[TranscriptionCreate | Refusal]:
    """The items as requests; a refusal stands for what is none."""
    return [_read(item, index) for index, item in enumerate(batch.items)]


def _read(item: JsonValue, index: int) -> TranscriptionCreate | Refusal:
    try:
        return TranscriptionCreate.model_validate(item)
    except ValidationError as error:
        found = [
            field_error({**each, "loc": ("body", "items", index, *each["loc"])})
            for each in error.errors(include_url=False, include_context=False)[:MOST_FIELDS]
        ]
    return Refusal(HTTP_CODES[422], fields_detail(found), found)


def batch_view(request: Request, answers: Sequence[Submission | Refusal]) -> BatchAnswer:
    """Each answer in its place."""
    items = [_item(request, index, answer) for index, answer in enumerate(answers)]
    accepted = sum(item.status == 202 for item in items)
    return BatchAnswer(accepted=accepted, refused=len(items) - accepted, items=items)


def _item(request: Request, index: int, answer: Submission | Refusal) -> BatchItem:
    if isinstance(answer, Submission):
        return BatchItem(index=index, status=202, transcription=accepted_view(request, answer))
    status = status_of_code(answer.code) or 422
    body: dict[str, Any] = problem_body(status, answer.code, answer.message)
    if answer.errors:
        body["errors"] = answer.errors
    return BatchItem(index=index, status=status, problem=Problem.model_validate(body))
