"""Waiting for data on descriptors, however many this process has open."""

import selectors
from collections.abc import Iterable
from typing import Any


def readable(sources: Iterable[Any], timeout_s: float | None = None) -> list[Any]:
    """Return the sources that can be read or were closed at the other end; none after the timeout.

    `select.select` refuses descriptors above 1,023, of which a busy server has many.

    Args:
        sources: descriptors, or objects with `fileno`.
        timeout_s: None: wait until there is one.
    """
    with selectors.PollSelector() as selector:
        for source in sources:
            selector.register(source, selectors.EVENT_READ)
        return [key.fileobj for key, _ in selector.select(timeout_s)]
