-- One row a source of speech, what it says of itself, and its stored audio.
create table ytcaption.media (
    id text primary key,
    kind text not null check (kind in ('site', 'direct', 'upload')),
    url text,
    extractor text,
    title text,
    info jsonb not null default '{}',
    audio_key text,
    audio_sha256 text,
    audio_size_bytes bigint,
    audio_duration_s double precision,
    audio_codec text,
    audio_container text,
    audio_sample_rate_hz integer,
    audio_channels integer,
    audio_stored_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);

-- One media with one set of options: the unit of work, the partition, and on each attempt the run.
create table ytcaption.transcription (
    id text primary key,
    media_id text not null references ytcaption.media (id),
    options jsonb not null,
    status text not null default 'queued'
        check (status in ('queued', 'running', 'completed', 'failed', 'canceled')),
    priority text not null check (priority in ('interactive', 'bulk')),
    -- Counts up for ever, since Dagster starts a run key once; a series of retries begins anew.
    attempt integer not null default 1,
    series_start integer not null default 1,
    queued_at timestamptz not null default now(),
    next_attempt_at timestamptz not null default now(),
    run_id text,
    heartbeat_at timestamptz,
    stage text,
    progress_done double precision,
    progress_total double precision,
    error_code text,
    error_message text,
    document_key text,
    document_sha256 text,
    language text,
    language_probability double precision,
    duration_s double precision,
    speech_s double precision,
    segment_count integer,
    word_count integer,
    dropped_count integer,
    provenance jsonb,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    completed_at timestamptz,
    check (status <> 'running' or (run_id is not null and heartbeat_at is not null)),
    check (status <> 'completed' or (document_key is not null and completed_at is not null))
);
create index on ytcaption.transcription (media_id);
create index on ytcaption.transcription (created_at desc);
create index on ytcaption.transcription (status);
create index on ytcaption.transcription ((priority = 'bulk'), queued_at) where status = 'queued';
create index on ytcaption.transcription (run_id) where run_id is not null;

-- A UUIDv7 (RFC 9562), so that keys come in time order. Postgres has its own from version 18 on.
create function ytcaption.uuid7() returns uuid language sql volatile parallel safe as $$
    select encode(
        set_bit(set_bit(
            overlay(
                uuid_send(gen_random_uuid())
                placing substring(int8send((extract(epoch from clock_timestamp()) * 1000)::bigint) from 3)
                from 1 for 6
            ), 52, 1), 53, 1), 'hex')::uuid
$$;

-- Somebody asking. Equal requests share a transcription.
create table ytcaption.request (
    id uuid primary key default ytcaption.uuid7(),
    transcription_id text not null references ytcaption.transcription (id) on delete cascade,
    priority text not null check (priority in ('interactive', 'bulk')),
    force boolean not null,
    metadata jsonb not null default '{}',
    created_at timestamptz not null default now()
);
create index on ytcaption.request (transcription_id);

-- What happened, for ever. Ids, codes and numbers only: no title, URL or text, since rows stay when a
-- media is erased. No foreign keys, for the same reason.
create table ytcaption.event (
    event_id uuid primary key default ytcaption.uuid7(),
    event_type text not null,
    "timestamp" timestamptz not null default clock_timestamp(),
    schema_version integer not null default 1,
    transcription_id text not null,
    media_id text not null,
    run_id text,
    data jsonb not null default '{}'
);
create index on ytcaption.event (transcription_id, "timestamp");

create function ytcaption.refuse_change() returns trigger language plpgsql as $$
begin
    raise exception 'ytcaption.event is append-only' using errcode = 'insufficient_privilege';
end
$$;
create trigger event_is_append_only before update or delete or truncate on ytcaption.event
    for each statement execute function ytcaption.refuse_change();

-- The text, for results and search.
create table ytcaption.segment (
    transcription_id text not null references ytcaption.transcription (id) on delete cascade,
    index integer not null,
    start_s double precision not null,
    end_s double precision not null,
    text text not null,
    words jsonb not null,
    avg_logprob double precision not null,
    no_speech_prob double precision not null,
    compression_ratio double precision not null,
    temperature double precision not null,
    tsv tsvector not null generated always as (to_tsvector('simple', text)) stored,
    primary key (transcription_id, index)
);
create index on ytcaption.segment using gin (tsv);
