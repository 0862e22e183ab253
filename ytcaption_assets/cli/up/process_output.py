"""Output of child processes, line by line, each line prefixed with its process's name."""

import re
import threading
from collections import deque
from collections.abc import Callable
from typing import IO

from rich.console import Console
from rich.text import Text

_LONGEST_LINE = 16 * 1024
_KEPT_LINES = 15
_COLOURS = ("cyan", "magenta", "green", "yellow", "blue", "red")

# Logs may contain untrusted titles and URLs: of control characters only tabs and colours are kept.
_CONTROL = re.compile(r"\x1b(?!\[)|[\x00-\x08\x0a-\x1a\x1c-\x1f\x7f-\x9f]")


class ProcessOutput:
    """Writes complete lines of many processes to one console; safe for threads."""

    def __init__(
        self, console: Console, names: list[str], on_broken: Callable[[], None] = lambda: None
    ) -> None:
        """Give each process a colour.

        Args:
            console: receives the lines.
            names: of all processes; they determine the width of the first column.
            on_broken: called when the console's reader is gone.
        """
        self._console = console
        self._width = max(map(len, names))
        self._colours = {name: _COLOURS[n % len(_COLOURS)] for n, name in enumerate(names)}
        self._tails: dict[str, deque[str]] = {name: deque(maxlen=_KEPT_LINES) for name in names}
        self._on_broken = on_broken
        self._broken = False
        self._lock = threading.Lock()

    def follow(self, name: str, pipe: IO[bytes]) -> threading.Thread:
        """Write the lines from the pipe until its last writer has closed it."""
        thread = threading.Thread(
            target=self._copy, args=(name, pipe), name=f"output of {name}", daemon=True
        )
        thread.start()
        return thread

    def write(self, name: str, line: str) -> None:
        """Write one line, which may contain colours."""
        text = Text.from_ansi(_CONTROL.sub("", line))
        marked = Text(f"{name:<{self._width}} │ ", style=self._colours[name]).append_text(text)
        with self._lock:
            self._tails[name].append(text.plain)
            if self._broken:
                return
            try:
                self._console.print(marked, soft_wrap=True, highlight=False)
            except (OSError, SystemExit):  # rich raises the latter for a closed pipe
                # Keep reading, or the children would block in their next write.
                self._broken = True
                self._on_broken()

    def last_lines(self, name: str) -> list[str]:
        """Return the newest lines of a process, without colours."""
        with self._lock:
            return list(self._tails[name])

    def _copy(self, name: str, pipe: IO[bytes]) -> None:
        with pipe:
            while line := pipe.readline(_LONGEST_LINE):
                self.write(name, line.decode("utf-8", errors="replace").rstrip("\r\n"))
