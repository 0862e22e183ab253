-- The rows of `library` that the common parameters of a view select.
select * from library
where published_on between coalesce($since::date, '0001-01-01') and coalesce($until::date, '9999-12-31')
    and ($channel::varchar is null or channel_id = $channel or lower(channel) = lower($channel))
    and ($language::varchar is null or language = $language)
