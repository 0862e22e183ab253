"""Dead letters of everybody's webhooks: list them and send them again."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Body, Query, Response

from api.dependencies import Admin
from api.http.fields import Text
from api.http.pagination import Limit, UuidCursorDep
from api.responses import (
    ADMIN_INVALID,
    BODY_ERRORS,
    DATABASE_UNAVAILABLE,
    NO_STORE,
    json_example,
)
from api.webhooks.dependencies import DeliveriesDep
from api.webhooks.examples import CURSOR_ERRORS, DELIVERY
from api.webhooks.schemas import DeliveryPage, ReplayRequest, ReplayResponse
from resources.webhooks.deliveries import DeadFilter

router = APIRouter(prefix="/api/v1/admin/deliveries", tags=["operation"])


@router.get(
    "/dead",
    operation_id="listDeadDeliveries",
    summary="List dead letters",
    responses=json_example(200, {"items": [DELIVERY | {"status": "dead"}], "next_cursor": None})
    | CURSOR_ERRORS
    | ADMIN_INVALID
    | DATABASE_UNAVAILABLE,
)
def list_dead(
    caller: Admin,
    deliveries: DeliveriesDep,
    response: Response,
    before: UuidCursorDep,
    webhook_id: Annotated[UUID | None, Query(description="Of this webhook.")] = None,
    owner: Annotated[Text | None, Query(max_length=400, description="Of this owner.")] = None,
    outcome: Annotated[
        Text | None, Query(max_length=60, description="Of the last attempt.")
    ] = None,
    limit: Limit = 50,
) -> DeliveryPage:
    """Return deliveries that are not retried automatically any more, the latest first."""
    response.headers.update(NO_STORE)
    filter = DeadFilter(webhook_id, owner, outcome)
    rows = deliveries.dead(filter, before=before, limit=limit + 1)
    return DeliveryPage.of(rows, limit)


@router.post(
    "/replay",
    operation_id="replayDeadDeliveries",
    summary="Send dead letters again",
    responses=json_example(200, {"number": 12})
    | BODY_ERRORS
    | ADMIN_INVALID
    | DATABASE_UNAVAILABLE,
)
def replay_dead(
    body: Annotated[
        ReplayRequest, Body(openapi_examples={"outage": {"value": {"outcome": "server_error"}}})
    ],
    caller: Admin,
    deliveries: DeliveriesDep,
) -> ReplayResponse:
    """Send all that match, each in a new series of attempts; those of disabled webhooks stay
    dead."""
    filter = DeadFilter(**body.model_dump())
    return ReplayResponse(number=deliveries.replay(filter, caller.owner))
