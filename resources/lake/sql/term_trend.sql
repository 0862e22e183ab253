with terms as materialized (
    select distinct string_split(lower(trim(term)), ' ') as parts
    from (select unnest(string_split($terms::varchar, ',')) as term)
    where trim(term) <> ''
), following as (
    -- The files hold the words in spoken order (SORTED), so this needs no sort, which takes memory.
    select
        transcription_id, word, lead(word) over () as second, lead(word, 2) over () as third,
        lead(segment_index) over () = segment_index and lead(word_index) over () = word_index + 1 as has_second,
        lead(segment_index, 2) over () = segment_index and lead(word_index, 2) over () = word_index + 2 as has_third
    from words
), matches as (
    select c.month, w.parts, count(*) as times, count(distinct c.media_id) as media
    from following f
        join terms w on f.word = w.parts[1]
            and (len(w.parts) = 1 or (f.has_second and f.second = w.parts[2]))
            and (len(w.parts) <= 2 or (f.has_third and f.third = w.parts[3]))
            and len(w.parts) <= 3
        join chosen c using (transcription_id)
    group by all
), sizes as (
    select month, sum(word_count) as words from chosen group by month having sum(word_count) > 0
)
select
    sizes.month, array_to_string(terms.parts, ' ') as term, coalesce(matches.times, 0) as times,
    coalesce(matches.media, 0) as media, 1e6 * coalesce(matches.times, 0) / sizes.words as per_million
from sizes cross join terms left join matches on matches.month = sizes.month and matches.parts = terms.parts
order by term, sizes.month
