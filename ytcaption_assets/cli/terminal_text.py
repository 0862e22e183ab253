"""Untrusted text on a terminal."""


def printable(value: object) -> str:
    """Replace control characters, with which a title could take over the terminal."""
    text = "" if value is None else str(value)
    return "".join(c if c.isprintable() or c == "\n" else "\ufffd" for c in text)
