"""A long list in pages, none asked for before it is taken."""

from collections.abc import Iterator
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")


def in_pages(
    items: Iterator[Item], start: int, size: int
) -> Iterator[tuple[int, list[Item], bool]]:
    """(place of the first item, items, whether more follow) of each page; one page at least.

    Args:
        items: from place `start` on.
    """
    page = list(islice(items, size))
    while True:
        following = list(islice(items, 1))
        yield start, page, bool(following)
        if not following:
            return
        start += len(page)
        page = following + list(islice(items, size - 1))
