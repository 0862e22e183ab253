with wanted as (
    select distinct string_split(lower(trim(term)), ' ') as parts
    from (select unnest(string_split($terms::varchar, ',')) as term)
    where trim(term) <> ''
), said as materialized (
    -- Only words of the terms: all words of a library do not fit into memory.
    select transcription_id, segment_index, word_index, word
    from words
    where word in (select unnest(parts) from wanted)
), starts as (
    select said.*, parts from said join wanted on said.word = wanted.parts[1]
), pairs as (
    select starts.* from starts join said
        on said.transcription_id = starts.transcription_id and said.segment_index = starts.segment_index
        and said.word_index = starts.word_index + 1 and said.word = starts.parts[2]
), triples as (
    select pairs.* from pairs join said
        on said.transcription_id = pairs.transcription_id and said.segment_index = pairs.segment_index
        and said.word_index = pairs.word_index + 2 and said.word = pairs.parts[3]
), found as (
    select c.month, hits.parts, count(*) as times, count(distinct c.media_id) as media
    from (
        from starts where len(parts) = 1
        union all from pairs where len(parts) = 2
        union all from triples where len(parts) = 3
    ) as hits join chosen c using (transcription_id)
    group by all
), sizes as (
    select c.month, count(w.word) as words
    from words w join chosen c using (transcription_id)
    group by c.month having count(w.word) > 0
)
select
    sizes.month, array_to_string(wanted.parts, ' ') as term, coalesce(found.times, 0) as times,
    coalesce(found.media, 0) as media, 1e6 * coalesce(found.times, 0) / sizes.words as per_million
from sizes cross join wanted left join found on found.month = sizes.month and found.parts = wanted.parts
order by term, sizes.month
