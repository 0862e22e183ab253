"""SQL: what age counts from, and what no age takes."""

from typing import LiteralString

FINISHED: LiteralString = "t.status in ('completed', 'failed', 'canceled')"
"""Whether the transcription `t` is at rest."""

TOUCHED: LiteralString = """greatest(t.updated_at, (
    select max(created_at) from ytcaption.request where transcription_id = t.id))"""
"""When the transcription `t` last changed, or was last asked for."""


def is_kept(id: LiteralString) -> LiteralString:
    """Whether somebody who has asked for the transcription of this id wants it kept."""
    return f"exists (select from ytcaption.request where transcription_id = {id} and keep)"
