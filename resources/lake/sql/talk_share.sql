select
    channel, month, count(*) as media, sum(duration_s) / 3600 as audio_h, sum(speech_s) / 3600 as speech_h,
    sum(duration_s - speech_s) / 3600 as silence_h, sum(speech_s) / nullif(sum(duration_s), 0) as talk_share,
    count(*) filter (where segment_count = 0) as silent_media
from chosen
group by all
order by channel, month
