with created as (
    select
        engine, model, device, compute_type, duration_s, processing_s,
        processing_s / nullif(duration_s, 0) as rtf
    from transcripts
    where source = 'asr' and processing_s is not null
        and created_at::date between coalesce($since::date, '0001-01-01') and coalesce($until::date, '9999-12-31')
)
select
    engine, model, device, compute_type, count(*) as transcriptions, sum(duration_s) / 3600 as audio_h,
    sum(processing_s) / 3600 as processing_h, sum(processing_s) / nullif(sum(duration_s), 0) as rtf,
    quantile_cont(rtf, 0.5) as rtf_p50, quantile_cont(rtf, 0.95) as rtf_p95,
    sum(processing_s) / 3600 * $cost_per_hour::double as cost,
    sum(processing_s) / nullif(sum(duration_s), 0) * $cost_per_hour::double as cost_per_audio_h
from created
group by all
order by audio_h desc, engine, model, device, compute_type
