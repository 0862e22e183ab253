"""Make untrusted text safe in files that a spreadsheet opens."""

_BEGINS_FORMULA = ("=", "+", "-", "@")
_ALONE = ("\t", "\r")


def safe_cell(text: str) -> str:
    """Return the text with an apostrophe before what a spreadsheet would treat as a formula.

    Also where the formula is in quotes: a spreadsheet removes those first (OWASP, CSV Injection).
    """
    is_formula = text.lstrip('" ').startswith(_BEGINS_FORMULA) or text.startswith(_ALONE)
    return f"'{text}" if is_formula else text
