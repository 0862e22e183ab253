-- One row per media: its newest transcript, with publication date and channel.
select
    t.transcription_id, t.media_id, m.title, coalesce(m.channel, m.channel_id) as channel, m.channel_id,
    coalesce(m.upload_date, t.created_at::date) as published_on,
    date_trunc('month', coalesce(m.upload_date, t.created_at::date))::date as month,
    coalesce(t.language, m.language) as language, t.text_language, t.duration_s, t.speech_s,
    t.segment_count, t.word_count, t.source, t.model, t.created_at, coalesce(m.webpage_url, m.url) as url
from transcripts t left join media m using (media_id)
qualify row_number() over (
    partition by t.media_id order by t.task = 'transcribe' desc, t.created_at desc, t.transcription_id
) = 1
