"""A page of deliveries."""

from api.http.uuid_cursor import cursor_of
from api.webhooks.schemas import DeliveryPage, DeliveryRead
from resources.webhooks.deliveries import Delivery


def page_of(deliveries: list[Delivery], limit: int) -> DeliveryPage:
    """A page.

    Args:
        deliveries: one more than `limit` where there is a next page.
    """
    shown = deliveries[:limit]
    cursor = cursor_of(shown[-1].id) if len(deliveries) > limit else None
    return DeliveryPage(items=[DeliveryRead.of(each) for each in shown], next_cursor=cursor)
