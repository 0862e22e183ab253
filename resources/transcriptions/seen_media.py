"""SQL: a media item as one caller sees it.

`ytcaption.media` holds what the source publishes, which everybody who requested the media may see.
What came with a request (the name of an uploaded file, the title in a channel's list, a signed
link) is in `ytcaption.request` and is shown to its owner only.
See docs/adr/security-rules.md#rule-52.
"""

from typing import LiteralString

_COLUMNS = (
    "id", "kind", "url", "extractor", "info", "audio_key", "audio_sha256", "audio_size_bytes",
    "audio_duration_s", "audio_codec", "audio_container", "audio_sample_rate_hz", "audio_channels",
    "created_at", "updated_at",
)  # fmt: skip
MEDIA_COLUMNS = (*_COLUMNS, "given_title", "given_url")
"""Names that `rows.media_row` reads: columns of the table, and what the caller gave."""


def given(column: LiteralString, media: LiteralString, owner: LiteralString) -> LiteralString:
    """Return SQL: the title or link that the latest request of an owner came with.

    Args:
        column: `title` or `url`.
        media: alias of the media's row.
        owner: a text (`Caller.sees_only`); if it is null, requests of all owners count.
    """
    return f"""(
        select giving.{column} from ytcaption.transcription as given
        join ytcaption.request as giving on giving.transcription_id = given.id
        where given.media_id = {media}.id and giving.{column} is not null
            and ({owner}::text is null or giving.owner = {owner}::text)
        order by giving.id desc limit 1
    )"""  # noqa: S608 - of literals only


def title_for(media: LiteralString, owner: LiteralString) -> LiteralString:
    """Return SQL: the title an owner sees, by the same rule as `MediaRow.title`.

    Args:
        media, owner: as `given`.
    """
    ours = given("title", media, owner)
    return f"""(case {media}.kind
        when 'upload' then {ours}
        when 'direct' then coalesce({ours}, {media}.info ->> 'title')
        else coalesce({media}.info ->> 'title', {ours})
    end)"""


def media_columns(
    media: LiteralString, owner: LiteralString, prefix: LiteralString = ""
) -> LiteralString:
    """Return the columns of `MEDIA_COLUMNS` for a select.

    Args:
        media, owner: as `given`.
        prefix: begins each name in the result.
    """
    columns: LiteralString = ", ".join([f"{media}.{name} as {prefix}{name}" for name in _COLUMNS])
    # Most media are of sites that state a title: nothing is looked up for them.
    return f"""{columns},
        case when {media}.kind <> 'site' or {media}.info ->> 'title' is null
            then {given("title", media, owner)} end as {prefix}given_title,
        case when {media}.kind = 'direct'
            then {given("url", media, owner)} end as {prefix}given_url"""
