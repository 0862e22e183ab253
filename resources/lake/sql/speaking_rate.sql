select
    channel, month, count(*) as media, sum(duration_s) / 3600 as audio_h, sum(word_count)::bigint as words,
    sum(word_count) / nullif(sum(speech_s) / 60, 0) as words_per_speech_minute,
    sum(word_count) / nullif(sum(duration_s) / 60, 0) as words_per_minute
from chosen
group by all
order by channel, month
