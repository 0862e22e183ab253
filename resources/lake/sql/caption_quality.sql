with segment_quality as (
    select
        c.channel, c.month, c.source, c.model, c.language, c.media_id, s.avg_logprob, s.compression_ratio,
        length(s.text) / nullif(s.end_s - s.start_s, 0) as characters_per_second
    from segments s join chosen c using (transcription_id)
)
select
    channel, month, source, model, language, count(distinct media_id) as media, count(*) as segments,
    avg((avg_logprob < -1)::integer) as doubtful_share,
    avg((compression_ratio > 2.4)::integer) as repeating_share,
    avg((characters_per_second > 21)::integer) as too_fast_share,
    quantile_cont(characters_per_second, 0.5) as median_characters_per_second,
    avg(avg_logprob) as mean_logprob
from segment_quality
group by all
order by channel, month, source, model, language
