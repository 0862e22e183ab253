"""Dependencies of the webhook routes."""

from typing import Annotated

from api.dependencies import part
from resources.webhooks.deliveries import Deliveries
from resources.webhooks.store import Webhooks

WebhooksDep = Annotated[Webhooks, part("webhooks")]
DeliveriesDep = Annotated[Deliveries, part("deliveries")]
