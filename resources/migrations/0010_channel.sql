-- A subscribed source of many media: what is wanted of it, and how far its listing is.
create table ytcaption.channel (
    id text primary key,
    owner text not null,
    source_id text not null,
    kind text not null check (kind in ('site', 'feed', 'playlist')),
    url text not null,
    extractor text,
    feed_url text,
    title text,
    -- As TranscriptionOptions, ChannelFilters and Schedule write them.
    options jsonb not null,
    filters jsonb not null default '{}',
    schedule jsonb not null,
    priority text not null default 'bulk' check (priority in ('interactive', 'bulk')),
    max_new integer check (max_new > 0),
    -- Days that its transcripts are kept; null: as the installation's.
    keep_days double precision check (keep_days >= 0),
    callback_url text,
    callback_include text,
    paused_at timestamptz,
    -- When it is looked at next, by schedule or since somebody asked.
    next_listing_at timestamptz not null default now(),
    run_asked_at timestamptz,
    listed_at timestamptz,
    -- What the last look has left for the next, and where the full history goes on.
    feed_state jsonb not null default '{}',
    history_next integer not null default 0,
    history_total integer,
    history_done_at timestamptz,
    -- The run that lists it now: fences its writes.
    run_id text,
    heartbeat_at timestamptz,
    failures integer not null default 0,
    error_code text,
    error_message text,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    unique (owner, source_id)
);
create index on ytcaption.channel (next_listing_at) where paused_at is null;

-- What has been seen in a channel's list, taken or not, and why.
create table ytcaption.channel_item (
    channel_id text not null references ytcaption.channel (id) on delete cascade,
    media_id text not null,
    kind text not null check (kind in ('site', 'direct', 'upload')),
    url text not null,
    extractor text,
    title text,
    published_at timestamptz,
    duration_s double precision,
    audio_bytes bigint,
    is_short boolean not null default false,
    live text check (live in ('upcoming', 'live', 'over')),
    -- new: to be taken; queued: a request was made; filtered: left out; waiting: not over yet;
    -- refused: cannot be asked for; gone: was there, is private or deleted now.
    state text not null
        check (state in ('new', 'queued', 'filtered', 'waiting', 'refused', 'gone')),
    reason text,
    transcription_id text,
    -- The source has other audio under the same id: seen, and offered for transcribing anew.
    changed_at timestamptz,
    change text,
    first_seen_at timestamptz not null default now(),
    last_seen_at timestamptz not null default now(),
    queued_at timestamptz,
    primary key (channel_id, media_id)
);
create index on ytcaption.channel_item (channel_id, published_at desc nulls last, media_id);
create index on ytcaption.channel_item (channel_id) where state = 'new';
create index on ytcaption.channel_item (media_id);
create index on ytcaption.channel_item (transcription_id) where transcription_id is not null;
