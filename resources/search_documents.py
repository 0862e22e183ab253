"""SQL of the transcripts that are searched, as `resources.search_retriever.Document` has them."""

from typing import LiteralString

DOCUMENTS: LiteralString = """
select transcription.id, transcription.media_id,
    coalesce(
        transcription.published_on, ytcaption.search_day(media.info, transcription.created_at)
    ) as published_on,
    media.info ->> 'channel' as channel, media.info ->> 'channel_id' as channel_id,
    ytcaption.search_channel(media.info) as channel_key,
    ytcaption.written_language(transcription.language, transcription.options) as language
from ytcaption.transcription join ytcaption.media on media.id = transcription.media_id
where
"""
PLACES: LiteralString = """
select transcription.id from ytcaption.transcription where transcription.status = 'completed'
"""
"""Ids of these and of some that are not searched."""

NEWEST_FIRST: LiteralString = (
    " order by transcription.published_on desc, transcription.id desc limit %(batch)s"
)
OLDEST_FIRST: LiteralString = (
    " order by transcription.published_on, transcription.id limit %(batch)s"
)
