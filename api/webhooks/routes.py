"""Being told of one's transcriptions: webhooks, their secrets, what was sent."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Body, Depends, Header, Path, Query, Response
from fastapi.concurrency import run_in_threadpool

from api.dependencies import Reader, Writer
from api.http.uuid_cursor import PlaceDep
from api.responses import BODY_ERRORS, DATABASE_UNAVAILABLE, problem_response, shown
from api.transcriptions.list_parameters import Limit
from api.webhooks.delivery_page import page_of
from api.webhooks.dependencies import DeliveriesDep, WebhooksDep
from api.webhooks.examples import (
    CREATE,
    CREATED,
    CURSOR_REFUSED,
    DELIVERY,
    DISABLED,
    INVALID,
    MESSAGE,
    NO_DELIVERY,
    NOT_FOUND,
    SECRET,
    SECRET_UNAVAILABLE,
    WEBHOOK,
)
from api.webhooks.schemas import (
    DeliveryPage,
    DeliveryRead,
    EventMessage,
    SecretRead,
    SecretRotate,
    WebhookChange,
    WebhookCreate,
    WebhookCreated,
    WebhookList,
    WebhookRead,
)
from resources.webhooks.deliveries import Status

router = APIRouter(prefix="/api/v1/webhooks", tags=["webhooks"])
received = APIRouter()
"""What receivers implement: the `webhooks` of the OpenAPI document."""

_NO_STORE = {"Cache-Control": "no-store"}
_TOO_MANY = problem_response(
    409,
    ("too_many_webhooks", "20 webhooks are all that one key may have.", "As many as one may have"),
)


async def _webhook_id(
    id: Annotated[
        UUID | Literal["callbacks"],
        Path(
            description="As it was answered; `callbacks`: of your requests' `callback_url`.",
            examples=["0198f3f2-9a43-7c1e-8f5d-3b0f6a1f2d11"],
        ),
    ],
    caller: Reader,
    webhooks: WebhooksDep,
) -> UUID:
    if id == "callbacks":
        return await run_in_threadpool(webhooks.callbacks_of, caller.owner)
    return id


WebhookId = Annotated[UUID, Depends(_webhook_id)]
DeliveryId = Annotated[UUID, Path(description="As the list of deliveries has it.")]


@router.get(
    "",
    operation_id="listWebhooks",
    summary="Your webhooks",
    responses=shown(200, {"webhooks": [WEBHOOK]}) | DATABASE_UNAVAILABLE,
)
def list_webhooks(caller: Reader, webhooks: WebhooksDep, response: Response) -> WebhookList:
    """The oldest first; an admin's list is everybody's."""
    response.headers.update(_NO_STORE)
    return WebhookList(webhooks=[WebhookRead.of(each) for each in webhooks.all(caller.sees_only)])


@router.post(
    "",
    status_code=201,
    operation_id="createWebhook",
    summary="Be told of what happens to your transcriptions",
    responses=shown(201, CREATED) | BODY_ERRORS | _TOO_MANY | INVALID | DATABASE_UNAVAILABLE,
)
def create_webhook(
    asked: Annotated[WebhookCreate, Body(openapi_examples={"all": {"value": CREATE}})],
    caller: Writer,
    webhooks: WebhooksDep,
    response: Response,
) -> WebhookCreated:
    """Each event is sent as a signed POST (Standard Webhooks), at least once, within a second, and
    again for three days where it is not taken. `secret` verifies them."""
    webhook, secret = webhooks.create(
        caller.owner,
        asked.url,
        event_types=asked.events,
        include=asked.include,
        description=asked.description,
        secret=asked.secret,
    )
    response.headers.update(_NO_STORE)
    return WebhookCreated(**WebhookRead.of(webhook).model_dump(), secret=secret)


@router.get(
    "/{id}",
    operation_id="getWebhook",
    summary="One webhook",
    responses=shown(200, WEBHOOK) | NOT_FOUND | INVALID | DATABASE_UNAVAILABLE,
)
def read_webhook(
    id: WebhookId, caller: Reader, webhooks: WebhooksDep, response: Response
) -> WebhookRead:
    """Where it goes, what is told, whether it is enabled."""
    response.headers.update(_NO_STORE)
    return WebhookRead.of(webhooks.get(id, caller.sees_only))


@router.patch(
    "/{id}",
    operation_id="changeWebhook",
    summary="Change a webhook",
    responses=shown(200, WEBHOOK) | BODY_ERRORS | NOT_FOUND | INVALID | DATABASE_UNAVAILABLE,
)
def change_webhook(
    id: WebhookId,
    asked: Annotated[WebhookChange, Body(openapi_examples={"off": {"value": {"enabled": False}}})],
    caller: Writer,
    webhooks: WebhooksDep,
) -> WebhookRead:
    """What is left out stays. Disabled, it is sent nothing; what waited can be redelivered."""
    return WebhookRead.of(webhooks.change(id, caller.sees_only, asked.changes()))


@router.delete(
    "/{id}",
    status_code=204,
    operation_id="deleteWebhook",
    summary="Delete a webhook",
    responses={204: {"description": "Gone, with its secrets and deliveries."}}
    | NOT_FOUND
    | INVALID
    | DATABASE_UNAVAILABLE,
)
def delete_webhook(id: WebhookId, caller: Writer, webhooks: WebhooksDep) -> Response:
    """Nothing is sent to it any more."""
    webhooks.delete(id, caller.sees_only)
    return Response(status_code=204)


@router.get(
    "/{id}/secret",
    operation_id="getWebhookSecret",
    summary="What its deliveries are signed with",
    responses=shown(200, SECRET) | NOT_FOUND | INVALID | SECRET_UNAVAILABLE | DATABASE_UNAVAILABLE,
)
def read_secret(
    id: WebhookId, caller: Writer, webhooks: WebhooksDep, response: Response
) -> SecretRead:
    """With the scope `write`. `callbacks` has one, too, made when it is first asked for or used."""
    response.headers.update(_NO_STORE)
    return SecretRead.of(webhooks.secrets(id, caller.sees_only))


@router.post(
    "/{id}/secret/rotate",
    operation_id="rotateWebhookSecret",
    summary="Give it another secret",
    responses=shown(200, SECRET)
    | BODY_ERRORS
    | NOT_FOUND
    | INVALID
    | SECRET_UNAVAILABLE
    | DATABASE_UNAVAILABLE,
)
def rotate_secret(
    id: WebhookId,
    asked: Annotated[SecretRotate, Body(openapi_examples={"made": {"value": {}}})],
    caller: Writer,
    webhooks: WebhooksDep,
    response: Response,
) -> SecretRead:
    """For 24 h the one before signs as well, so that receivers can change over."""
    response.headers.update(_NO_STORE)
    return SecretRead.of(webhooks.rotate(id, caller.sees_only, asked.secret))


@router.post(
    "/{id}/ping",
    status_code=202,
    operation_id="pingWebhook",
    summary="Have it told that it is there",
    responses=shown(202, DELIVERY) | NOT_FOUND | DISABLED | INVALID | DATABASE_UNAVAILABLE,
)
def ping_webhook(
    id: WebhookId, caller: Writer, webhooks: WebhooksDep, deliveries: DeliveriesDep
) -> DeliveryRead:
    """Sends `webhook.ping`; what came of it is among its deliveries."""
    return DeliveryRead.of(deliveries.one(id, webhooks.ping(id, caller.sees_only)))


@router.get(
    "/{id}/deliveries",
    operation_id="listDeliveries",
    summary="What was sent, and what came of it",
    responses=shown(200, {"items": [DELIVERY], "next_cursor": None})
    | CURSOR_REFUSED
    | NOT_FOUND
    | INVALID
    | DATABASE_UNAVAILABLE,
)
def list_deliveries(
    id: WebhookId,
    caller: Reader,
    webhooks: WebhooksDep,
    deliveries: DeliveriesDep,
    response: Response,
    before: PlaceDep,
    status: Annotated[Status | None, Query(description="Left out: all.")] = None,
    limit: Limit = 50,
) -> DeliveryPage:
    """The latest first, with their attempts and the beginning of each answer."""
    response.headers.update(_NO_STORE)
    webhooks.get(id, caller.sees_only)
    return page_of(deliveries.of_webhook(id, status=status, before=before, limit=limit + 1), limit)


@router.post(
    "/{id}/deliveries/{delivery_id}/redeliver",
    status_code=202,
    operation_id="redeliver",
    summary="Send one again",
    responses=shown(202, DELIVERY) | NO_DELIVERY | DISABLED | INVALID | DATABASE_UNAVAILABLE,
)
def redeliver(
    id: WebhookId,
    delivery_id: DeliveryId,
    caller: Writer,
    webhooks: WebhooksDep,
    deliveries: DeliveriesDep,
) -> DeliveryRead:
    """Now, whatever came of it, with the same `webhook-id`, and again on the schedule."""
    webhooks.get(id, caller.sees_only)
    deliveries.redeliver(id, delivery_id)
    return DeliveryRead.of(deliveries.one(id, delivery_id))


@received.post(
    "transcription",
    status_code=204,
    operation_id="receiveTranscriptionEvent",
    summary="Something happened to one of your transcriptions",
    responses={204: {"description": "Taken. Any other status but 2xx is tried again."}},
)
def receive_event(
    message: Annotated[EventMessage, Body(openapi_examples={"done": {"value": MESSAGE}})],
    webhook_id: Annotated[
        str, Header(alias="webhook-id", description="Of the event, the same on every attempt.")
    ],
    webhook_timestamp: Annotated[
        int, Header(alias="webhook-timestamp", description="Of the attempt, seconds since 1970.")
    ],
    webhook_signature: Annotated[
        str,
        Header(
            alias="webhook-signature",
            description="`v1,` and HMAC-SHA256 of `id.timestamp.body` in base64; of each live "
            "secret, separated by spaces.",
        ),
    ],
) -> None:
    """Verify the signature over the bytes as they came, keep `webhook-id`, answer 2xx in 15 s."""
