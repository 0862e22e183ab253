"""Long lists in pages that are requested one by one."""

from collections.abc import Iterator
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")


def in_pages(
    items: Iterator[Item], start: int, size: int
) -> Iterator[tuple[int, list[Item], bool]]:
    """Yield the position of the first item, the items, and whether more follow, of each page.

    There is at least one page.

    Args:
        items: from position `start` on.
    """
    page = list(islice(items, size))
    while True:
        following = list(islice(items, 1))
        yield start, page, bool(following)
        if not following:
            return
        start += len(page)
        page = following + list(islice(items, size - 1))
