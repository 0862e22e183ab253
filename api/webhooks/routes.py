"""Webhooks: their settings, their secrets, and the log of their deliveries."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Body, Depends, Header, Path, Query, Response
from fastapi.concurrency import run_in_threadpool

from api.dependencies import Reader, Writer
from api.http.pagination import Limit, UuidCursorDep
from api.responses import (
    BODY_ERRORS,
    DATABASE_UNAVAILABLE,
    NO_STORE,
    json_example,
    problem_response,
)
from api.webhooks.dependencies import DeliveriesDep, WebhooksDep
from api.webhooks.examples import (
    CREATE,
    CREATED,
    CURSOR_ERRORS,
    DELIVERY,
    DELIVERY_NOT_FOUND,
    DISABLED,
    INVALID,
    MESSAGE,
    SECRET,
    SECRET_UNAVAILABLE,
    WEBHOOK,
    WEBHOOK_NOT_FOUND,
)
from api.webhooks.schemas import (
    DeliveryPage,
    DeliveryResponse,
    EventMessage,
    SecretRequest,
    SecretResponse,
    WebhookCreatedResponse,
    WebhookList,
    WebhookRequest,
    WebhookResponse,
    WebhookUpdate,
)
from resources.webhooks.deliveries import Status

router = APIRouter(prefix="/api/v1/webhooks", tags=["webhooks"])
receiver = APIRouter()
"""The route that receivers implement: the `webhooks` of the OpenAPI document."""

_WEBHOOK_ERRORS = WEBHOOK_NOT_FOUND | INVALID | DATABASE_UNAVAILABLE
_TOO_MANY = problem_response(
    409,
    (
        "too_many_webhooks",
        "One key may have at most 20 webhooks. Delete one.",
        "The maximum number of webhooks",
    ),
)


async def _webhook_id(
    id: Annotated[
        UUID | Literal["callbacks"],
        Path(
            description="From the response to its creation; `callbacks` stands for the "
            "`callback_url` of your requests.",
            examples=["0198f3f2-9a43-7c1e-8f5d-3b0f6a1f2d11"],
        ),
    ],
    caller: Reader,
    webhooks: WebhooksDep,
) -> UUID:
    if id == "callbacks":
        create = caller.may("write")
        return await run_in_threadpool(webhooks.callbacks_of, caller.owner, create=create)
    return id


WebhookId = Annotated[UUID, Depends(_webhook_id)]
DeliveryId = Annotated[UUID, Path(description="From the list of deliveries.")]


@router.get(
    "",
    operation_id="listWebhooks",
    summary="List your webhooks",
    responses=json_example(200, {"webhooks": [WEBHOOK]}) | DATABASE_UNAVAILABLE,
)
def list_webhooks(caller: Reader, webhooks: WebhooksDep, response: Response) -> WebhookList:
    """Return your webhooks, the oldest first; an admin sees everybody's."""
    response.headers.update(NO_STORE)
    rows = webhooks.all(caller.sees_only)
    return WebhookList(webhooks=[WebhookResponse.of(row) for row in rows])


@router.post(
    "",
    status_code=201,
    operation_id="createWebhook",
    summary="Create a webhook",
    responses=json_example(201, CREATED) | BODY_ERRORS | _TOO_MANY | INVALID | DATABASE_UNAVAILABLE,
)
def create_webhook(
    body: Annotated[WebhookRequest, Body(openapi_examples={"all": {"value": CREATE}})],
    caller: Writer,
    webhooks: WebhooksDep,
    response: Response,
) -> WebhookCreatedResponse:
    """Receive events of your transcriptions. Each is sent as a signed POST (Standard Webhooks), at
    least once, within a second, and retried for three days. `secret` verifies the signatures."""
    webhook, secret = webhooks.create(
        caller.owner,
        body.url,
        event_types=body.events,
        include=body.include,
        description=body.description,
        secret=body.secret,
    )
    response.headers.update(NO_STORE)
    return WebhookCreatedResponse(**WebhookResponse.of(webhook).model_dump(), secret=secret)


@router.get(
    "/{id}",
    operation_id="getWebhook",
    summary="Get a webhook",
    responses=json_example(200, WEBHOOK) | _WEBHOOK_ERRORS,
)
def read_webhook(
    id: WebhookId, caller: Reader, webhooks: WebhooksDep, response: Response
) -> WebhookResponse:
    """Return its URL, its events and whether it is enabled."""
    response.headers.update(NO_STORE)
    return WebhookResponse.of(webhooks.get(id, caller.sees_only))


@router.patch(
    "/{id}",
    operation_id="changeWebhook",
    summary="Change a webhook",
    responses=json_example(200, WEBHOOK) | BODY_ERRORS | _WEBHOOK_ERRORS,
)
def change_webhook(
    id: WebhookId,
    body: Annotated[WebhookUpdate, Body(openapi_examples={"off": {"value": {"enabled": False}}})],
    caller: Writer,
    webhooks: WebhooksDep,
) -> WebhookResponse:
    """Change the fields that are sent. A disabled webhook receives nothing; its waiting deliveries
    can be redelivered later."""
    return WebhookResponse.of(webhooks.change(id, caller.sees_only, body.changes()))


@router.delete(
    "/{id}",
    status_code=204,
    operation_id="deleteWebhook",
    summary="Delete a webhook",
    responses={204: {"description": "Deleted, with its secrets and deliveries."}} | _WEBHOOK_ERRORS,
)
def delete_webhook(id: WebhookId, caller: Writer, webhooks: WebhooksDep) -> Response:
    """Delete it; nothing more is sent to it."""
    webhooks.delete(id, caller.sees_only)
    return Response(status_code=204)


@router.get(
    "/{id}/secret",
    operation_id="getWebhookSecret",
    summary="Get the secret of a webhook",
    responses=json_example(200, SECRET)
    | WEBHOOK_NOT_FOUND
    | INVALID
    | SECRET_UNAVAILABLE
    | DATABASE_UNAVAILABLE,
)
def read_secret(
    id: WebhookId, caller: Writer, webhooks: WebhooksDep, response: Response
) -> SecretResponse:
    """Return the secret that signs its deliveries; needs the scope `write`. `callbacks` has one,
    too, created when it is first read or used."""
    response.headers.update(NO_STORE)
    return SecretResponse.of(webhooks.secrets(id, caller.sees_only))


@router.post(
    "/{id}/secret/rotate",
    operation_id="rotateWebhookSecret",
    summary="Rotate the secret of a webhook",
    responses=json_example(200, SECRET)
    | BODY_ERRORS
    | WEBHOOK_NOT_FOUND
    | INVALID
    | SECRET_UNAVAILABLE
    | DATABASE_UNAVAILABLE,
)
def rotate_secret(
    id: WebhookId,
    body: Annotated[SecretRequest, Body(openapi_examples={"made": {"value": {}}})],
    caller: Writer,
    webhooks: WebhooksDep,
    response: Response,
) -> SecretResponse:
    """Replace the secret. For 24 h the previous one signs as well, so that receivers can switch."""
    response.headers.update(NO_STORE)
    return SecretResponse.of(webhooks.rotate(id, caller.sees_only, body.secret))


@router.post(
    "/{id}/ping",
    status_code=202,
    operation_id="pingWebhook",
    summary="Test a webhook",
    responses=json_example(202, DELIVERY)
    | WEBHOOK_NOT_FOUND
    | DISABLED
    | INVALID
    | DATABASE_UNAVAILABLE,
)
def ping_webhook(
    id: WebhookId, caller: Writer, webhooks: WebhooksDep, deliveries: DeliveriesDep
) -> DeliveryResponse:
    """Send `webhook.ping`; the outcome is among its deliveries."""
    return DeliveryResponse.of(deliveries.one(id, webhooks.ping(id, caller.sees_only)))


@router.get(
    "/{id}/deliveries",
    operation_id="listDeliveries",
    summary="List the deliveries of a webhook",
    responses=json_example(200, {"items": [DELIVERY], "next_cursor": None})
    | CURSOR_ERRORS
    | _WEBHOOK_ERRORS,
)
def list_deliveries(
    id: WebhookId,
    caller: Reader,
    webhooks: WebhooksDep,
    deliveries: DeliveriesDep,
    response: Response,
    before: UuidCursorDep,
    status: Annotated[Status | None, Query(description="Default: all.")] = None,
    limit: Limit = 50,
) -> DeliveryPage:
    """Return the deliveries, the latest first, with their attempts and the start of each response
    body."""
    response.headers.update(NO_STORE)
    webhooks.get(id, caller.sees_only)
    rows = deliveries.of_webhook(id, status=status, before=before, limit=limit + 1)
    return DeliveryPage.of(rows, limit)


@router.post(
    "/{id}/deliveries/{delivery_id}/redeliver",
    status_code=202,
    operation_id="redeliver",
    summary="Send a delivery again",
    responses=json_example(202, DELIVERY)
    | DELIVERY_NOT_FOUND
    | DISABLED
    | INVALID
    | DATABASE_UNAVAILABLE,
)
def redeliver(
    id: WebhookId,
    delivery_id: DeliveryId,
    caller: Writer,
    webhooks: WebhooksDep,
    deliveries: DeliveriesDep,
) -> DeliveryResponse:
    """Send it now, whatever its outcome, with the same `webhook-id`, and retry as usual."""
    webhooks.get(id, caller.sees_only)
    deliveries.redeliver(id, delivery_id)
    return DeliveryResponse.of(deliveries.one(id, delivery_id))


@receiver.post(
    "transcription",
    status_code=204,
    operation_id="receiveTranscriptionEvent",
    summary="An event of one of your transcriptions",
    responses={204: {"description": "Received. Any other status than 2xx is retried."}},
)
def receive_event(
    message: Annotated[EventMessage, Body(openapi_examples={"done": {"value": MESSAGE}})],
    webhook_id: Annotated[
        str, Header(alias="webhook-id", description="Id of the event, equal for every attempt.")
    ],
    webhook_timestamp: Annotated[
        int,
        Header(alias="webhook-timestamp", description="Time of the attempt in seconds since 1970."),
    ],
    webhook_signature: Annotated[
        str,
        Header(
            alias="webhook-signature",
            description="`v1,` and HMAC-SHA256 of `id.timestamp.body` in base64; one for each "
            "valid secret, separated by spaces.",
        ),
    ],
) -> None:
    """Verify the signature over the bytes as received, remember `webhook-id`, and answer 2xx within
    15 s."""
