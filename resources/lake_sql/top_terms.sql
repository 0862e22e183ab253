with said as (
    -- Single words need no neighbours, which take memory.
    select c.media_id, w.word as term
    from words w join chosen c using (transcription_id)
    where $n::integer = 1 and length(w.word) >= $min_length::integer
    union all
    select
        c.media_id, w.word || ' ' || lead(w.word) over next || case $n::integer
            when 2 then '' else ' ' || lead(w.word, 2) over next end as term
    from words w join chosen c using (transcription_id)
    where $n::integer > 1
    window next as (partition by w.transcription_id, w.segment_index order by w.word_index)
)
select
    term, count(*) as times, count(distinct media_id) as media,
    1e6 * count(*) / sum(count(*)) over () as per_million
from said
where term is not null
group by term
order by times desc, term
