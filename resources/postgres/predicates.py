"""SQL: what age counts from, and what no age takes."""

from typing import LiteralString

FINISHED: LiteralString = "t.status in ('completed', 'failed', 'canceled')"
"""Whether the transcription `t` is at rest."""

TOUCHED: LiteralString = """greatest(t.updated_at, (
    select max(created_at) from ytcaption.request where transcription_id = t.id))"""
"""When the transcription `t` last changed, or was last asked for."""


def is_pinned(id: LiteralString) -> LiteralString:
    """Whether somebody who has asked for the transcription of this id wants it kept."""
    return f"exists (select from ytcaption.request where transcription_id = {id} and keep)"


def is_erased(id: LiteralString) -> LiteralString:
    """SQL: whether the transcription of this id was erased. Its row may outlive its text for as
    long as the erasure lasts."""
    return (
        "exists (select from ytcaption.tombstone "
        f"where id_sha256 = encode(sha256(convert_to({id}, 'UTF8')), 'hex'))"
    )


def is_visible_to_owner(id: LiteralString) -> LiteralString:
    """SQL: whether `owner` may see the transcription of this id, as `Caller.sees_only` says: they
    have asked for it, or see everything (rule 12)."""
    return (
        "(%(owner)s::text is null or exists (select from ytcaption.request "
        f"where transcription_id = {id} and owner = %(owner)s))"
    )
