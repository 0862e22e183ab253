with created as (
    select
        created_at::date as day, source, epoch(created_at - queued_at) as delay_s,
        epoch(started_at - queued_at) as wait_s
    from transcripts
    where queued_at is not null
        and created_at::date between coalesce($since::date, '0001-01-01') and coalesce($until::date, '9999-12-31')
)
select
    day, source, count(*) as transcriptions, quantile_cont(wait_s, 0.5) as wait_p50_s,
    quantile_cont(delay_s, 0.5) as delay_p50_s, quantile_cont(delay_s, 0.95) as delay_p95_s,
    max(delay_s) as delay_max_s
from created
group by all
order by day, source
