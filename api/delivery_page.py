"""A page of deliveries, and the cursor of the next one."""

import base64
import binascii
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Query

from api.webhook_schemas import DeliveryPage, DeliveryRead
from resources.deliveries import Delivery
from ytcaption_assets.domain.errors import InvalidCursor


def page_of(deliveries: list[Delivery], limit: int) -> DeliveryPage:
    """A page.

    Args:
        deliveries: one more than `limit` where there is a next page.
    """
    shown = deliveries[:limit]
    cursor = None
    if len(deliveries) > limit:
        cursor = base64.urlsafe_b64encode(shown[-1].id.bytes).decode().rstrip("=")
    return DeliveryPage(items=[DeliveryRead.of(each) for each in shown], next_cursor=cursor)


def _before(
    cursor: Annotated[
        str | None,
        Query(
            max_length=60,
            description="`next_cursor` of the page before. Left out: the first page.",
        ),
    ] = None,
) -> UUID | None:
    if cursor is None:
        return None
    try:
        return UUID(bytes=base64.b64decode(f"{cursor}==", altchars=b"-_", validate=True))
    except (binascii.Error, ValueError):
        raise InvalidCursor(
            "This cursor is none that a list gave. Take `next_cursor` of a page, or leave it out."
        ) from None


BeforeDep = Annotated[UUID | None, Depends(_before)]
