"""The body, headers and signatures of a delivery (Standard Webhooks 1.0.0)."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self
from uuid import UUID

from psycopg import Connection
from psycopg.rows import DictRow

from resources.postgres.connection import Postgres
from resources.webhooks.secret_box import SecretBox
from resources.webhooks.secrets import signing_secrets
from ytcaption.domain.webhook import PING
from ytcaption.settings.settings import Settings

MAX_BODY_BYTES = 20_000

_STATUS = {
    "transcription.queued": "queued",
    "transcription.started": "running",
    "transcription.retry_queued": "queued",
    "transcription.completed": "completed",
}
"""Other events state it: a failure leaves a transcription with an earlier result completed."""

_EVENT = 'select "timestamp", media_id, data from ytcaption.event where event_id = %s'
_RESULT = """
select language, duration_s, (
    select case when coalesce(sum(octet_length(text)), 0) <= %(most)s
        then coalesce(string_agg(text, E'\\n' order by index), '') end
    from ytcaption.segment where transcription_id = transcription.id
) as text
from ytcaption.transcription where id = %(id)s and status = 'completed'
"""


@dataclass(frozen=True)
class Message:
    """One event for one receiver.

    Attributes:
        event_id: the `webhook-id`, the same in every attempt.
        transcription_id: None for a ping.
        request_ids: the owner's requests for the transcription, the latest first.
    """

    webhook_id: UUID
    event_id: UUID
    event_type: str
    transcription_id: str | None
    request_ids: tuple[UUID, ...]
    include: str | None
    created_at: datetime

    @classmethod
    def of_delivery(cls, row: Mapping[str, Any]) -> Self:
        """Return the message of a delivery's row."""
        values: dict[str, Any] = {name: row[name] for name in cls.__dataclass_fields__}
        values["request_ids"] = tuple(values["request_ids"])
        return cls(**values)


@dataclass(frozen=True)
class DeliveryRequest:
    """A body to send, and the secrets that sign it.

    Attributes:
        secrets: the current one first.
    """

    event_id: UUID
    body: bytes
    secrets: tuple[str, ...]

    def headers(self, at: datetime) -> dict[str, str]:
        """Return the headers of an attempt: id, time and signatures over exactly `body`."""
        from standardwebhooks import Webhook

        id, text = str(self.event_id), self.body.decode()
        signatures = [Webhook(secret).sign(id, at, text) for secret in self.secrets]
        return {
            "webhook-id": id,
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": " ".join(signatures),
            "content-type": "application/json",
        }


class Signer:
    """Builds and signs the requests of messages."""

    def __init__(self, settings: Settings, postgres: Postgres) -> None:
        self._base = settings.api.public_url or ""
        self._postgres = postgres
        self._box = SecretBox(settings)

    def sign(self, message: Message) -> DeliveryRequest:
        """Return the request to send.

        Raises:
            SecretUnreadable, SetupError: no secret can be read.
            DatabaseUnavailable: as `Postgres.transaction`.
        """
        with self._postgres.transaction() as connection:
            body = self._body(connection, message)
            secrets = signing_secrets(connection, self._box, message.webhook_id)
        return DeliveryRequest(message.event_id, body, tuple(secrets))

    def _body(self, connection: Connection[DictRow], message: Message) -> bytes:
        if message.event_type == PING:
            return _encoded(PING, message.created_at, {"webhook_id": str(message.webhook_id)})
        event = connection.execute(_EVENT, (message.event_id,)).fetchone()
        assert event is not None, "events are never deleted"
        data = self._data(message, event)
        if message.include == "result" and message.event_type == "transcription.completed":
            values = {"id": message.transcription_id, "most": MAX_BODY_BYTES}
            result = connection.execute(_RESULT, values).fetchone()
            fits = result is not None and result["text"] is not None
            body = _encoded(
                message.event_type, event["timestamp"], data | {"result": result if fits else None}
            )
            if len(body) <= MAX_BODY_BYTES:
                return body
            data["result"] = None
        return _encoded(message.event_type, event["timestamp"], data)

    def _data(self, message: Message, event: DictRow) -> dict[str, Any]:
        link = f"{self._base}/api/v1/transcriptions/{message.transcription_id}"
        event_data = event["data"]
        return {
            "id": message.transcription_id,
            "media_id": event["media_id"],
            "status": _STATUS.get(message.event_type) or event_data.get("status"),
            "attempt": event_data.get("attempt"),
            "error": {"code": event_data["code"]} if "code" in event_data else None,
            "request_ids": [str(id) for id in message.request_ids],
            "status_url": link,
            "result_url": f"{link}/result",
        }


def _encoded(event_type: str, at: datetime, data: Mapping[str, Any]) -> bytes:
    timestamp = at.astimezone(UTC).isoformat().replace("+00:00", "Z")
    message = {"type": event_type, "timestamp": timestamp, "data": data}
    return json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode()
