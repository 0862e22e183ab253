"""Functions in a forked child: their connections end with it, and it may be killed."""

import os
import sys
import traceback
from collections.abc import Callable


def forked(function: Callable[[], object]) -> int:
    """Start a function in a child of its own; return the child's process id."""
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        function()
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def in_child(function: Callable[[], object]) -> int:
    """Run a function in a child; return its exit code, negative for the signal that killed it."""
    return os.waitstatus_to_exitcode(os.waitpid(forked(function), 0)[1])
