with places as materialized (
    select transcription_id, row_number() over () - 1 as place from chosen
), following as not materialized (
    -- Words lie in their files in the order in which they are said (SORTED): no sorting, which takes memory.
    select
        transcription_id, segment_index, word_index, word, lead(word) over () as second, lead(word, 2) over () as third,
        lead(segment_index) over () as segment2, lead(segment_index, 2) over () as segment3,
        lead(word_index) over () as index2, lead(word_index, 2) over () as index3
    from words
), said as not materialized (
    -- Where a term begins: a hash of its words.
    select
        transcription_id, word, second, third,
        case
            when word is null or second is null or segment2 <> segment_index or index2 <> word_index + 1 then null
            when $n::integer = 2 then hash(word, second)
            when third is null or segment3 <> segment_index or index3 <> word_index + 2 then null
            else hash(word, second, third)
        end as term
    from following
    where $n::integer > 1
), slots as materialized (
    -- How often terms are said, several in a slot: no term is said more often than its slot.
    select term & 4194303 as slot, count(*) as times
    from said join places using (transcription_id)
    where term is not null
    group by slot
), frequent as materialized (
    select slot, if(count(*) over () < 20000, 1, min(times) over ()) as least
    from (from slots order by times desc limit 20000)
), counted as (
    -- Of single words all, of pairs and triples those of frequent slots. In which media, in sets of 1,024.
    select
        word, null as second, null as third, 1 as least, place // 1024 as media_set, count(*) as times,
        bitstring_agg((place % 1024)::integer, 0, 1023) as media
    from words join places using (transcription_id)
    where $n::integer = 1 and length(word) >= $min_length::integer
    group by word, media_set
    union all
    select
        any_value(word), any_value(second), case $n::integer when 3 then any_value(third) end, any_value(least),
        place // 1024 as media_set, count(*),
        bitstring_agg((place % 1024)::integer, 0, 1023)
    from said join frequent on slot = term & 4194303 join places using (transcription_id)
    group by term, media_set
)
select
    word || coalesce(' ' || second, '') || coalesce(' ' || third, '') as term,
    sum(times)::bigint as times, sum(bit_count(media))::bigint as media,
    1e6 * sum(times) / coalesce((select sum(times) from slots), sum(sum(times)) over ()) as per_million
from counted
group by all
having sum(times) >= any_value(least)
order by times desc, term
