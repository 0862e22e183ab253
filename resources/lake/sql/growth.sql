select
    date_trunc('month', created_at)::date as month,
    count(*) as transcriptions,
    count(distinct media_id) as media,
    sum(duration_s) / 3600 as audio_h,
    sum(word_count)::bigint as words,
    sum(count(*)) over by_month::bigint as transcriptions_so_far,
    sum(sum(duration_s)) over by_month / 3600 as audio_h_so_far
from transcripts
where created_at::date between coalesce($since::date, '0001-01-01') and coalesce($until::date, '9999-12-31')
group by 1
window by_month as (order by date_trunc('month', created_at)::date)
order by 1
