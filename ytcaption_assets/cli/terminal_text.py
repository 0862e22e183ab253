"""Untrusted text on a terminal."""

import sys


def printable(value: object) -> str:
    """Replace control characters, with which a title could take over the terminal."""
    text = "" if value is None else str(value)
    return "".join(c if c.isprintable() or c == "\n" else "\ufffd" for c in text)


def one_line(value: object) -> str:
    """Replace line breaks, too: a name must not look like several lines of output."""
    return printable(value).replace("\n", "\ufffd")


def printable_on_terminal(text: str) -> str:
    """Return text for standard output: unchanged, unless a terminal shows it."""
    return printable(text) if sys.stdout.isatty() else text
