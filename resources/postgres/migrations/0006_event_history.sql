-- Events under public names, in one order, with the trace that they belong to, and from here on with
-- all that a transcription's row follows from (schema_version 2).
lock table ytcaption.transcription in share row exclusive mode;
lock table ytcaption.event in access exclusive mode;

alter table ytcaption.event
    add column trace_id text check (trace_id ~ '^[0-9a-f]{32}$'),
    -- The order of events of one transcription is that of their numbers: who appends holds its row.
    add column number bigint;

-- Lifted for this file alone: names change, what has happened does not.
alter table ytcaption.event disable trigger event_is_append_only;
update ytcaption.event e
set number = placed.number,
    event_type = case e.event_type
        when 'request.created' then 'Requested'
        when 'request.withdrawn' then 'RequestWithdrawn'
        when 'transcription.queued' then 'Queued'
        when 'transcription.started' then 'Started'
        when 'audio.stored' then 'AudioDownloaded'
        when 'transcript.stored' then 'TranscriptStored'
        when 'transcription.completed' then 'TranscriptionCompleted'
        when 'transcription.failed' then 'TranscriptionFailed'
        when 'transcription.retry_queued' then 'Retried'
        when 'transcription.given_back' then 'GivenBack'
        when 'transcription.released' then 'Released'
        when 'transcription.canceled' then 'Canceled'
        when 'transcription.erased' then 'Erased'
        when 'breaker.opened' then 'BreakerOpened'
        when 'breaker.probed' then 'BreakerProbed'
        when 'breaker.closed' then 'BreakerClosed'
        else e.event_type
    end
from (
    select event_id, row_number() over (order by "timestamp", ctid) as number from ytcaption.event
) as placed
where placed.event_id = e.event_id;
alter table ytcaption.event enable trigger event_is_append_only;

alter table ytcaption.event
    alter column number set not null,
    alter column number add generated always as identity,
    alter column "timestamp" drop default,
    alter column schema_version drop default;
select setval(
    pg_get_serial_sequence('ytcaption.event', 'number'),
    (select coalesce(max(number), 0) + 1 from ytcaption.event), false);
create unique index event_history on ytcaption.event (transcription_id, number);
drop index ytcaption.event_transcription_id_timestamp_idx;

-- What receivers of webhooks know events by; null: they are not told. The only place that says so.
create function ytcaption.webhook_event(event_type text) returns text
language sql immutable parallel safe as $$
    select case event_type
        when 'Queued' then 'transcription.queued'
        when 'Started' then 'transcription.started'
        when 'Retried' then 'transcription.retry_queued'
        when 'TranscriptionCompleted' then 'transcription.completed'
        when 'TranscriptionFailed' then 'transcription.failed'
        when 'Canceled' then 'transcription.canceled'
    end
$$;

-- As in 0004, under the new names.
create or replace function ytcaption.add_deliveries() returns trigger
language plpgsql security definer set search_path = '' set enable_seqscan = off as $$
declare
    told text := ytcaption.webhook_event(new.event_type);
begin
    if new.event_type = 'Requested' then
        -- Who asks for what is completed already hears so: no other event will come.
        perform from ytcaption.transcription
        where id = new.transcription_id and status = 'completed';
        if not found then return null; end if;
        told := 'transcription.completed';
    end if;
    insert into ytcaption.delivery (
        webhook_id, owner, url, event_id, event_type, transcription_id, request_ids, include)
    select webhook.id, webhook.owner, coalesce(webhook.url, request.callback_url), new.event_id, told,
        new.transcription_id, (array_agg(request.id order by request.id desc))[1:100],
        max(case when webhook.url is null then request.callback_include else webhook.include end)
    from ytcaption.request join ytcaption.webhook on webhook.owner = request.owner
    where request.transcription_id = new.transcription_id
        and (new.event_type <> 'Requested' or request.id = (new.data ->> 'request_id')::uuid)
        and webhook.disabled_at is null and told = any (webhook.event_types)
        and coalesce(webhook.url, request.callback_url) is not null
    group by webhook.id, coalesce(webhook.url, request.callback_url)
    order by webhook.id;
    if found then perform pg_notify('ytcaption_delivery', ''); end if;
    return null;
end
$$;
drop trigger event_is_delivered on ytcaption.event;
create trigger event_is_delivered after insert on ytcaption.event
    for each row when (
        new.event_type = 'Requested' or ytcaption.webhook_event(new.event_type) is not null)
    execute function ytcaption.add_deliveries();

drop trigger failure_is_told on ytcaption.event;
create trigger failure_is_told after insert on ytcaption.event
    for each row when (new.event_type = 'TranscriptionFailed' and new.data ->> 'code' in (
        'setup_error', 'disk_full', 'storage_error', 'database_unavailable', 'dagster_unavailable',
        'object_store_unavailable', 'object_not_found', 'object_corrupt', 'lake_unavailable',
        'model_unavailable', 'model_corrupt', 'internal_error'))
    execute function ytcaption.alert_failure();

-- As in 0002, under the new names.
create or replace function ytcaption.add_to_totals() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
    -- In one order, so that no two transactions wait for each other.
    insert into ytcaption.total as known (name, code, value)
    select found.name, found.code, found.value from (values
        ('audio_in_s', '', case when new.event_type = 'AudioDownloaded'
            then (new.data ->> 'duration_s')::float8 end),
        ('audio_done_s', '', case when new.event_type = 'TranscriptStored'
            and new.data ? 'processing_s' then (new.data ->> 'duration_s')::float8 end),
        ('canceled', '', case when new.event_type = 'Canceled' then 1.0 end),
        ('completed', '', case when new.event_type = 'TranscriptionCompleted' then 1.0 end),
        ('downloads', '', case when new.event_type = 'AudioDownloaded'
            and new.data ->> 'kind' <> 'upload' then 1.0 end),
        ('download_bytes', '', case when new.event_type = 'AudioDownloaded'
            and new.data ->> 'kind' <> 'upload' then (new.data ->> 'size_bytes')::float8 end),
        ('failures', coalesce(new.data ->> 'code', ''), case when new.event_type in (
            'TranscriptionFailed', 'Retried') then 1.0 end),
        ('processing_s', '', case when new.event_type = 'TranscriptStored'
            then (new.data ->> 'processing_s')::float8 end)
    ) as found (name, code, value)
    where found.value is not null
    order by found.name, found.code
    on conflict (name, code) do update set value = known.value + excluded.value;
    return null;
end
$$;
drop trigger event_is_counted on ytcaption.event;
create trigger event_is_counted after insert on ytcaption.event
    for each row when (new.event_type in (
        'AudioDownloaded', 'TranscriptStored', 'Canceled', 'TranscriptionCompleted',
        'TranscriptionFailed', 'Retried'))
    execute function ytcaption.add_to_totals();

-- What was there before: events of version 1 do not tell all of it, so one of each says how it stands.
-- Times are seconds since 1970.
insert into ytcaption.event (
    event_type, "timestamp", schema_version, transcription_id, media_id, run_id, data)
select 'SnapshotTaken', now(), 2, id, media_id, run_id, jsonb_strip_nulls(jsonb_build_object(
    'status', status, 'priority', priority, 'attempt', attempt, 'series_start', series_start,
    'error_code', error_code, 'document_key', document_key, 'document_sha256', document_sha256,
    'language', language, 'language_probability', language_probability, 'duration_s', duration_s,
    'speech_s', speech_s, 'segment_count', segment_count, 'word_count', word_count,
    'dropped_count', dropped_count, 'created_at', extract(epoch from created_at),
    'queued_at', extract(epoch from queued_at), 'started_at', extract(epoch from started_at),
    'completed_at', extract(epoch from completed_at)))
from ytcaption.transcription order by created_at, id;
