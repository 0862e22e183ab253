with wanted as materialized (
    select distinct string_split(lower(trim(term)), ' ') as parts
    from (select unnest(string_split($terms::varchar, ',')) as term)
    where trim(term) <> ''
), following as (
    -- Words lie in their files in the order in which they are said (SORTED): no sorting, which takes memory.
    select
        transcription_id, word, lead(word) over () as second, lead(word, 2) over () as third,
        lead(segment_index) over () = segment_index and lead(word_index) over () = word_index + 1 as has_second,
        lead(segment_index, 2) over () = segment_index and lead(word_index, 2) over () = word_index + 2 as has_third
    from words
), found as (
    select c.month, w.parts, count(*) as times, count(distinct c.media_id) as media
    from following f
        join wanted w on f.word = w.parts[1]
            and (len(w.parts) = 1 or (f.has_second and f.second = w.parts[2]))
            and (len(w.parts) <= 2 or (f.has_third and f.third = w.parts[3]))
            and len(w.parts) <= 3
        join chosen c using (transcription_id)
    group by all
), sizes as (
    select month, sum(word_count) as words from chosen group by month having sum(word_count) > 0
)
select
    sizes.month, array_to_string(wanted.parts, ' ') as term, coalesce(found.times, 0) as times,
    coalesce(found.media, 0) as media, 1e6 * coalesce(found.times, 0) / sizes.words as per_million
from sizes cross join wanted left join found on found.month = sizes.month and found.parts = wanted.parts
order by term, sizes.month
