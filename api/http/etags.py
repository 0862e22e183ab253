"""Entity tags (RFC 9110 section 8.8.3)."""

import re

_ENTITY_TAG = re.compile(r'(?:W/)?("[^"]*")')


def is_known(if_none_match: str | None, tag: str) -> bool:
    """Return whether `If-None-Match` names the tag (RFC 9110 section 13.1.2)."""
    if if_none_match is None:
        return False
    return if_none_match.strip() == "*" or tag in _ENTITY_TAG.findall(if_none_match)
