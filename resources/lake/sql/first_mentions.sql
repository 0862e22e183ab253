with mentions as (
    select
        c.channel, count(*) as times,
        arg_min(
            {'published_on': c.published_on, 'media_id': c.media_id, 'title': c.title, 'start_s': s.start_s,
                'text': s.text, 'url': c.url},
            (c.published_on, c.media_id, s.segment_index)
        ) as first
    from segments s join chosen c using (transcription_id)
    where contains(lower(s.text), lower(trim($term::varchar)))
    group by c.channel
)
select
    channel, first.published_on as published_on,
    first.published_on - min(first.published_on) over () as days_after_first, times, first.media_id as media_id,
    first.title as title, first.start_s as start_s, first.text as text, first.url as url
from mentions
order by first.published_on, channel
