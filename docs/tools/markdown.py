"""Markdown for the generated pages: lines of 100 characters, nothing taken for HTML."""

import re
import textwrap

WIDTH = 100
_LIST = re.compile(r"\s*([-*+]|\d+[.)])\s")
_MARKER = re.compile(r" (?=([-*+#|>]|\d+[.)]|```\S*)(\s|$))")
_GLUE = "\ue000"
"""Stands for a space at which a line must not be broken."""


def safe(text: str) -> str:
    """Return the text with `<` escaped outside of code."""
    parts = text.split("`")
    return "`".join(part if at % 2 else part.replace("<", "&lt;") for at, part in enumerate(parts))


def filled(text: str, first: str = "", rest: str = "") -> str:
    """Return one paragraph wrapped at `WIDTH`, with these prefixes of the first and later lines.

    No later line begins with what Markdown takes for an item, a heading or a table: the "503." of a
    sentence would begin a list.
    """
    return textwrap.fill(
        _MARKER.sub(_GLUE, safe(" ".join(text.split()))),
        WIDTH,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    ).replace(_GLUE, " ")


def item(text: str, level: int = 0) -> str:
    """Return an item of a list."""
    indent = " " * (4 * level)
    return filled(text, f"{indent}- ", f"{indent}  ")


def paragraphs(text: str) -> str:
    """Return a docstring's or description's text; lists and code in it stay as they are."""
    blocks = re.split(r"\n\s*\n", textwrap.dedent(text).strip())
    return "\n\n".join(
        safe(block) if _LIST.match(block) or block.startswith(("```", "|")) else filled(block)
        for block in blocks
        if block
    )


def anchor(heading: str) -> str:
    """Return the address of a heading within its page, as MkDocs and GitHub make it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")
