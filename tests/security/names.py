"""Host names whose addresses a test gives, and changes between one look and the next."""

import socket
from collections import Counter
from collections.abc import Callable
from typing import Any


class Names:
    """In place of `socket.getaddrinfo`, below everything of ours that resolves a name.

    Attributes:
        lookups: number of lookups of each name.
    """

    def __init__(self, real: Callable[..., Any]) -> None:
        self.lookups: Counter[str] = Counter()
        self._real = real
        self._answers: dict[str, list[list[str]]] = {}

    def answer(self, name: str, *looks: list[str]) -> None:
        """The addresses of the first look, of the second, ...; those of the last from then on."""
        self._answers[name] = list(looks)

    def getaddrinfo(self, host: Any, port: Any, *more: Any, **options: Any) -> Any:
        """As the socket module's, for the names given; for all others it is that one."""
        looks = self._answers.get(host)
        if looks is None:
            return self._real(host, port, *more, **options)
        addresses = looks[min(self.lookups[host], len(looks) - 1)]
        self.lookups[host] += 1
        return [
            (
                socket.AF_INET6 if ":" in address else socket.AF_INET,
                socket.SOCK_STREAM,
                socket.IPPROTO_TCP,
                "",
                (address, port, 0, 0) if ":" in address else (address, port),
            )
            for address in addresses
        ]
