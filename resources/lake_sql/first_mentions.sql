with mentions as (
    select
        c.channel, c.published_on, c.media_id, c.title, c.url, s.start_s, s.text,
        count(*) over (partition by c.channel) as times
    from segments s join chosen c using (transcription_id)
    where contains(lower(s.text), lower(trim($term::varchar)))
    qualify row_number() over (
        partition by c.channel order by c.published_on, c.media_id, s.segment_index
    ) = 1
)
select
    channel, published_on, published_on - min(published_on) over () as days_after_first, times, media_id, title,
    start_s, text, url
from mentions
order by published_on, channel
