"""A stranger's texts on a terminal."""


def shown(value: object) -> str:
    """Without the control characters that a title may hold to take the terminal over."""
    text = "" if value is None else str(value)
    return "".join(c if c.isprintable() or c == "\n" else "\ufffd" for c in text)
