with said as (
    select
        c.media_id, w.word as first, lead(w.word) over next as second, lead(w.word, 2) over next as third
    from words w join chosen c using (transcription_id)
    window next as (partition by w.transcription_id, w.segment_index order by w.word_index)
), terms as (
    select media_id, case $n::integer
        when 1 then case when length(first) >= $min_length::integer then first end
        when 2 then first || ' ' || second
        else first || ' ' || second || ' ' || third
    end as term
    from said
)
select
    term, count(*) as times, count(distinct media_id) as media,
    1e6 * count(*) / sum(count(*)) over () as per_million
from terms
where term is not null
group by term
order by times desc, term
