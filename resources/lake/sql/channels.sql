select
    channel, any_value(channel_id) as channel_id, count(*) as media, sum(duration_s) / 3600 as audio_h,
    sum(word_count)::bigint as words, min(published_on) as first_on, max(published_on) as last_on,
    mode(language) as main_language
from chosen
group by channel
order by audio_h desc, channel
