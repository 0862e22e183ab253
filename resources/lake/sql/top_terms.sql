with positions as materialized (
    select transcription_id, row_number() over () - 1 as position from chosen
), following as not materialized (
    -- The files hold the words in spoken order (SORTED), so this needs no sort, which takes memory.
    -- Directly from the files: over a join, DuckDB 1.5's lead() sometimes returns a word of another row.
    select
        transcription_id, segment_index, word_index, word, lead(word) over () as second, lead(word, 2) over () as third,
        lead(segment_index) over () as segment2, lead(segment_index, 2) over () as segment3,
        lead(word_index) over () as index2, lead(word_index, 2) over () as index3
    from words
), occurrences as not materialized (
    -- The words at which a term begins, with a hash of the term.
    select transcription_id, word, null as second, null as third, hash(word) as term
    from words
    where $n::integer = 1 and length(word) >= $min_length::integer
    union all
    select
        transcription_id, word, second, third,
        case
            when word is null or second is null or segment2 <> segment_index or index2 <> word_index + 1 then null
            when $n::integer = 2 then hash(word, second)
            when third is null or segment3 <> segment_index or index3 <> word_index + 2 then null
            else hash(word, second, third)
        end
    from following
    where $n::integer > 1
), slots as materialized (
    -- Occurrences by hash slot, which several terms share: no term occurs more often than its slot.
    select term & 4194303 as slot, count(*) as times
    from occurrences join positions using (transcription_id)
    where term is not null
    group by slot
), frequent as materialized (
    -- More slots than result rows, because frequent terms share some of their slots with rare ones.
    select slot, if(count(*) over () < greatest(4000, 2 * $rows::bigint), 1, min(times) over ()) as least
    from (from slots order by times desc limit greatest(4000, 2 * $rows::bigint))
), counted as (
    -- The terms of frequent slots, with their media as bit sets of 8,192.
    select
        any_value(word) as word, any_value(second) as second, case $n::integer when 3 then any_value(third) end as third,
        any_value(least) as least, position // 8192 as media_set, count(*) as times,
        bitstring_agg((position % 8192)::integer, 0, 8191) as media
    from occurrences join frequent on slot = term & 4194303 join positions using (transcription_id)
    group by term, media_set
)
select
    word || coalesce(' ' || second, '') || coalesce(' ' || third, '') as term,
    sum(times)::bigint as times, sum(bit_count(media))::bigint as media,
    1e6 * sum(times) / (select sum(times) from slots) as per_million
from counted
group by all
having sum(times) >= any_value(least)
order by times desc, term
limit $rows::bigint
