"""SQL expressions about a transcription: its age, and who may see or delete it."""

from typing import LiteralString

FINISHED: LiteralString = "t.status in ('completed', 'failed', 'canceled')"
"""Whether the transcription `t` has finished."""

TOUCHED: LiteralString = """greatest(t.updated_at, (
    select max(created_at) from ytcaption.request where transcription_id = t.id))"""
"""When the transcription `t` last changed or was last requested."""


def is_pinned(id: LiteralString) -> LiteralString:
    """Return SQL: whether a request pins the transcription of this id."""
    return f"exists (select from ytcaption.request where transcription_id = {id} and keep)"


def is_erased(id: LiteralString) -> LiteralString:
    """Return SQL: whether the transcription of this id was erased.

    During an erasure its row may outlive its text.
    """
    return (
        "exists (select from ytcaption.tombstone "
        f"where id_sha256 = encode(sha256(convert_to({id}, 'UTF8')), 'hex'))"
    )


def erased_for(id: LiteralString, owner: LiteralString) -> LiteralString:
    """Return SQL: the key of `ytcaption.erased_for` for an id and an owner."""
    return f"encode(sha256(convert_to({id}::text || ' ' || {owner}::text, 'UTF8')), 'hex')"


def is_erased_for(id: LiteralString) -> LiteralString:
    """Return SQL: whether `owner` (`Caller.sees_only`) has had the transcription of this id, and it
    was erased for them; None: whether it was erased.

    What other owners have erased or requested since makes no difference to the answer.
    """
    return (
        f"case when %(owner)s::text is null then {is_erased(id)} else exists ("
        f"select from ytcaption.erased_for where id_owner_sha256 = {erased_for(id, '%(owner)s')}"
        ") end"
    )


def is_visible_to_owner(id: LiteralString) -> LiteralString:
    """Return SQL: whether `owner` (`Caller.sees_only`) may see the transcription of this id.

    An owner sees what they have requested; None sees everything.
    """
    return (
        "(%(owner)s::text is null or exists (select from ytcaption.request "
        f"where transcription_id = {id} and owner = %(owner)s))"
    )
