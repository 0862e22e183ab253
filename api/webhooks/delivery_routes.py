"""Dead letters of everybody's webhooks: looking at them, and sending them again."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Body, Query, Response

from api.dependencies import Admin
from api.http.uuid_cursor import PlaceDep
from api.responses import ADMIN_INVALID, BODY_ERRORS, DATABASE_UNAVAILABLE, shown
from api.transcriptions.list_parameters import Limit, Text
from api.webhooks.delivery_page import page_of
from api.webhooks.dependencies import DeliveriesDep
from api.webhooks.examples import CURSOR_REFUSED, DELIVERY
from api.webhooks.schemas import DeliveryPage, ReplayAsked, ReplayRead
from resources.webhooks.deliveries import DeadFilter

router = APIRouter(prefix="/api/v1/admin/deliveries", tags=["operation"])


@router.get(
    "/dead",
    operation_id="listDeadDeliveries",
    summary="Webhooks' dead letters",
    responses=shown(200, {"items": [DELIVERY | {"status": "dead"}], "next_cursor": None})
    | CURSOR_REFUSED
    | ADMIN_INVALID
    | DATABASE_UNAVAILABLE,
)
def list_dead(
    caller: Admin,
    deliveries: DeliveriesDep,
    response: Response,
    before: PlaceDep,
    webhook_id: Annotated[UUID | None, Query(description="Of this webhook.")] = None,
    owner: Annotated[Text | None, Query(max_length=400, description="Of this owner.")] = None,
    outcome: Annotated[
        Text | None, Query(max_length=60, description="Of the last attempt.")
    ] = None,
    limit: Limit = 50,
) -> DeliveryPage:
    """Deliveries that nobody tries again by itself, the latest first."""
    response.headers["Cache-Control"] = "no-store"
    chosen = DeadFilter(webhook_id, owner, outcome)
    return page_of(deliveries.dead(chosen, before=before, limit=limit + 1), limit)


@router.post(
    "/replay",
    operation_id="replayDeadDeliveries",
    summary="Send dead letters again",
    responses=shown(200, {"number": 12}) | BODY_ERRORS | ADMIN_INVALID | DATABASE_UNAVAILABLE,
)
def replay_dead(
    asked: Annotated[
        ReplayAsked, Body(openapi_examples={"outage": {"value": {"outcome": "server_error"}}})
    ],
    caller: Admin,
    deliveries: DeliveriesDep,
) -> ReplayRead:
    """All that fit, each in a new series of attempts; those of disabled webhooks stay dead."""
    return ReplayRead(number=deliveries.replay(DeadFilter(**asked.model_dump()), caller.owner))
