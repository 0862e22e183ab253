select
    a.model, a.language, a.reference_kind, count(*) as transcriptions, sum(a.words)::bigint as words,
    sum(a.wer * a.words) / nullif(sum(a.words), 0) as wer, quantile_cont(a.wer, 0.5) as wer_p50,
    quantile_cont(a.wer, 0.95) as wer_p95, sum(a.substitutions)::bigint as substitutions,
    sum(a.deletions)::bigint as deletions, sum(a.insertions)::bigint as insertions
from caption_accuracy a left join media m using (media_id)
where a.measured_at::date between coalesce($since::date, '0001-01-01') and coalesce($until::date, '9999-12-31')
    and ($channel::varchar is null or m.channel_id = $channel or lower(m.channel) = lower($channel))
    and ($language::varchar is null or a.language = $language)
group by all
order by a.language, wer, a.model
