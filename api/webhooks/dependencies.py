"""Dependencies."""

from typing import Annotated

from api.dependencies import _part
from resources.webhooks.deliveries import Deliveries
from resources.webhooks.store import Webhooks

WebhooksDep = Annotated[Webhooks, _part("webhooks")]


DeliveriesDep = Annotated[Deliveries, _part("deliveries")]
