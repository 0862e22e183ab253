"""Texts of strangers in files that a spreadsheet opens (rule 22)."""

_BEGINS_FORMULA = ("=", "+", "-", "@")
_ALONE = ("\t", "\r")


def safe_cell(text: str) -> str:
    """A text that a spreadsheet would take for a formula gets an apostrophe (OWASP, CSV Injection),
    also where the formula is in quotes: a spreadsheet takes those off first."""
    is_formula = text.lstrip('" ').startswith(_BEGINS_FORMULA) or text.startswith(_ALONE)
    return f"'{text}" if is_formula else text
