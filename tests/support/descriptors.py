"""A process with more than 1,023 open files, so that further descriptors are above that."""

import os
import resource
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

_HELD = 1_100


@contextmanager
def many_descriptors() -> Iterator[None]:
    """Hold 1,100 descriptors open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = max(soft, 4 * _HELD)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    try:
        with ExitStack() as held:
            for _ in range(_HELD):
                held.callback(os.close, os.open(os.devnull, os.O_RDONLY))
            yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
