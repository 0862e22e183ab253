"""Batches: many requests in one body, each validated and answered separately."""

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar

from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, WithJsonSchema

from api.http.errors import HTTP_CODES, problem_body, status_of_code
from api.http.invalid_request import MAX_FIELDS, field_error, fields_detail
from api.http.schemas import Problem
from api.transcriptions.request_schemas import TranscriptionRequest
from api.transcriptions.schemas import AcceptedResponse
from api.transcriptions.view import accepted_view
from resources.transcriptions.rows import Refusal, Submission

MAX_ITEMS = 1_000

_ITEMS = {
    "type": "array",
    "minItems": 1,
    "maxItems": MAX_ITEMS,
    # An item that is not valid is refused separately: it does not make the whole batch invalid.
    "items": {"anyOf": [{"$ref": "#/components/schemas/TranscriptionRequest"}, {}]},
}


class BatchRequest(BaseModel):
    """Many media to transcribe."""

    model_config = ConfigDict(extra="forbid")
    idempotency_name: ClassVar[str] = "TranscriptionBatch"

    items: Annotated[
        list[JsonValue],
        Field(
            min_length=1,
            max_length=MAX_ITEMS,
            description="Each like the body of a single request.",
        ),
        WithJsonSchema(_ITEMS),
    ]


class BatchItem(BaseModel):
    """The outcome of one item."""

    index: Annotated[int, Field(description="Position in `items`, from 0.")]
    status: Annotated[int, Field(description="The HTTP status of a single request.")]
    transcription: Annotated[AcceptedResponse | None, Field(description="With 202.")] = None
    problem: Annotated[Problem | None, Field(description="With any other status.")] = None


class BatchResponse(BaseModel):
    """The outcome of each item, in their order."""

    accepted: int
    refused: int
    items: list[BatchItem]


def parse_items(batch: BatchRequest) -> list[TranscriptionRequest | Refusal]:
    """Return the items as requests; a refusal stands for an item that is not valid."""
    return [_parse(item, index) for index, item in enumerate(batch.items)]


def _parse(item: JsonValue, index: int) -> TranscriptionRequest | Refusal:
    try:
        return TranscriptionRequest.model_validate(item)
    except ValidationError as error:
        fields = [
            field_error({**each, "loc": ("body", "items", index, *each["loc"])})
            for each in error.errors(include_url=False, include_context=False)[:MAX_FIELDS]
        ]
    return Refusal(HTTP_CODES[422], fields_detail(fields), fields)


def batch_view(request: Request, outcomes: Sequence[Submission | Refusal]) -> BatchResponse:
    """Return the response to a batch."""
    items = [_item(request, index, outcome) for index, outcome in enumerate(outcomes)]
    accepted = sum(item.status == 202 for item in items)
    return BatchResponse(accepted=accepted, refused=len(items) - accepted, items=items)


def _item(request: Request, index: int, outcome: Submission | Refusal) -> BatchItem:
    if isinstance(outcome, Submission):
        return BatchItem(index=index, status=202, transcription=accepted_view(request, outcome))
    status = status_of_code(outcome.code) or 422
    body: dict[str, Any] = problem_body(status, outcome.code, outcome.message)
    if outcome.errors:
        body["errors"] = outcome.errors
    return BatchItem(index=index, status=status, problem=Problem.model_validate(body))
