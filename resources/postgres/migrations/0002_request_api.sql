-- Who asks, and with what. `local`: an installation where nobody has to say who they are.
alter table ytcaption.request add column owner text not null default 'local';
create index on ytcaption.request (owner, transcription_id, id);
create index on ytcaption.request (transcription_id, id);
drop index ytcaption.request_transcription_id_idx;
create index on ytcaption.request using gin (metadata jsonb_path_ops);
create index on ytcaption.transcription (created_at desc, id desc);
drop index ytcaption.transcription_created_at_idx;
create index transcription_queue on ytcaption.transcription ((priority = 'bulk'), queued_at, id)
    where status = 'queued';
drop index ytcaption.transcription_expr_queued_at_idx;
create index on ytcaption.media ((info ->> 'channel_id'));
create index on ytcaption.media (lower(info ->> 'channel'));

-- W3C trace context of the request that queued it: the run's spans hang below it.
alter table ytcaption.transcription add column traceparent text;

-- The answer to a request that carried an Idempotency-Key, kept with the work for 24 hours.
create table ytcaption.idempotency (
    owner text not null,
    key text not null,
    body_sha256 text not null,
    answer jsonb not null,
    created_at timestamptz not null default now(),
    primary key (owner, key)
);
create index on ytcaption.idempotency (created_at);

-- `ytc_<id>_<secret>`: the secret itself is nowhere. Limits: null is the settings' number.
create table ytcaption.api_key (
    id text primary key,
    name text not null,
    secret_sha256 text not null,
    scopes text[] not null check (scopes <@ array['read', 'write', 'admin'] and scopes <> '{}'),
    requests_per_minute integer check (requests_per_minute > 0),
    concurrent_transcriptions integer check (concurrent_transcriptions > 0),
    audio_minutes_per_day integer check (audio_minutes_per_day > 0),
    created_at timestamptz not null default now(),
    expires_at timestamptz,
    revoked_at timestamptz,
    last_used_at timestamptz
);

-- What is heard while a run decodes, for those who watch; gone once the text is stored.
create table ytcaption.draft_segment (
    transcription_id text not null references ytcaption.transcription (id) on delete cascade,
    attempt integer not null,
    index integer not null,
    start_s double precision not null,
    end_s double precision not null,
    text text not null,
    primary key (transcription_id, attempt, index)
);

-- What an operator has stopped: no row, not stopped.
create table ytcaption.pause (
    part text primary key check (part in ('intake', 'download', 'transcription')),
    reason text not null default '',
    paused_by text not null default 'local',
    paused_at timestamptz not null default now()
);

-- What was erased is answered by 410, not by 404; of the id its hash stays.
create table ytcaption.tombstone (
    id_sha256 text primary key,
    erased_at timestamptz not null default now()
);

-- When the attempt that runs began, and its stage.
alter table ytcaption.transcription add column started_at timestamptz;
alter table ytcaption.transcription add column stage_started_at timestamptz;

-- Sums of events, kept with each: they only grow, stay when rows are erased, and are read at once.
create table ytcaption.total (
    name text not null,
    code text not null default '',
    value double precision not null,
    primary key (name, code)
);
create function ytcaption.add_to_totals() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
    -- In one order, so that no two transactions wait for each other.
    insert into ytcaption.total as known (name, code, value)
    select found.name, found.code, found.value from (values
        ('audio_in_s', '', case when new.event_type = 'audio.stored'
            then (new.data ->> 'duration_s')::float8 end),
        ('audio_done_s', '', case when new.event_type = 'transcript.stored'
            and new.data ? 'processing_s' then (new.data ->> 'duration_s')::float8 end),
        ('canceled', '', case when new.event_type = 'transcription.canceled' then 1.0 end),
        ('completed', '', case when new.event_type = 'transcription.completed' then 1.0 end),
        ('downloads', '', case when new.event_type = 'audio.stored'
            and new.data ->> 'kind' <> 'upload' then 1.0 end),
        ('download_bytes', '', case when new.event_type = 'audio.stored'
            and new.data ->> 'kind' <> 'upload' then (new.data ->> 'size_bytes')::float8 end),
        ('failures', coalesce(new.data ->> 'code', ''), case when new.event_type in (
            'transcription.failed', 'transcription.retry_queued') then 1.0 end),
        ('processing_s', '', case when new.event_type = 'transcript.stored'
            then (new.data ->> 'processing_s')::float8 end)
    ) as found (name, code, value)
    where found.value is not null
    order by found.name, found.code
    on conflict (name, code) do update set value = known.value + excluded.value;
    return null;
end
$$;
create trigger event_is_counted after insert on ytcaption.event
    for each row when (new.event_type in (
        'audio.stored', 'transcript.stored', 'transcription.canceled', 'transcription.completed',
        'transcription.failed', 'transcription.retry_queued'))
    execute function ytcaption.add_to_totals();

-- Audio that was transcribed for somebody: what a daily quota counts, erased or not: of the id its hash. A day old it
-- counts no more, and goes.
create table ytcaption.audio_use (
    owner text not null,
    id_sha256 text not null,
    audio_s double precision not null,
    used_at timestamptz not null default now()
);
create index on ytcaption.audio_use (owner, used_at);
create index on ytcaption.audio_use (used_at);
create function ytcaption.note_audio_use() returns trigger
language plpgsql security definer set search_path = '' as $$
declare
    hash text := encode(sha256(convert_to(new.id, 'UTF8')), 'hex');
begin
    delete from ytcaption.audio_use where used_at < now() - interval '2 days';
    -- Everybody who waits for it, once; again who had it made anew.
    insert into ytcaption.audio_use (owner, id_sha256, audio_s)
    select distinct request.owner, hash, new.duration_s from ytcaption.request
    where request.transcription_id = new.id and (
        request.created_at >= new.queued_at
        or not exists (
            select from ytcaption.audio_use as known
            where known.owner = request.owner and known.id_sha256 = hash
        )
    );
    return null;
end
$$;
create trigger audio_is_counted after update of status on ytcaption.transcription
    for each row when (
        new.status = 'completed' and old.status <> 'completed' and new.duration_s is not null)
    execute function ytcaption.note_audio_use();
