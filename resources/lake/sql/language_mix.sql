select
    month, coalesce(language, 'none') as language, count(*) as media, sum(duration_s) / 3600 as audio_h,
    sum(duration_s) / nullif(sum(sum(duration_s)) over (partition by month), 0) as share
from chosen
group by 1, 2
order by month, audio_h desc, language
