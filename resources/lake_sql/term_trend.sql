with wanted as (
    select distinct lower(trim(term)) as term, len(string_split(trim(term), ' ')) as n
    from (select unnest(string_split($terms::varchar, ',')) as term)
    where trim(term) <> ''
), said as (
    select
        c.month, c.media_id, w.word as first, lead(w.word) over next as second, lead(w.word, 2) over next as third
    from words w join chosen c using (transcription_id)
    window next as (partition by w.transcription_id, w.segment_index order by w.word_index)
), sizes as (
    select month, count(*) as words from said where first is not null group by month
), found as (
    select said.month, wanted.term, count(*) as times, count(distinct said.media_id) as media
    from said join wanted on wanted.term = case wanted.n
        when 1 then first
        when 2 then first || ' ' || second
        when 3 then first || ' ' || second || ' ' || third
    end
    group by all
)
select
    sizes.month, wanted.term, coalesce(found.times, 0) as times, coalesce(found.media, 0) as media,
    1e6 * coalesce(found.times, 0) / sizes.words as per_million
from sizes cross join wanted left join found on found.month = sizes.month and found.term = wanted.term
order by wanted.term, sizes.month
