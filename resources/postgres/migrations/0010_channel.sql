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
    -- Who hosts it, as `resources.site_domains.site_of` says.
    site text not null,
    -- As TranscriptionOptions, ChannelFilters and Schedule write them.
    options jsonb not null,
    filters jsonb not null default '{}',
    schedule jsonb not null,
    priority text not null default 'bulk' check (priority in ('interactive', 'bulk')),
    max_new integer check (max_new > 0),
    -- Days that its transcripts are kept, 0 for ever; null: as the installation's.
    keep_days double precision check (keep_days >= 0),
    callback_url text,
    callback_include text,
    paused_at timestamptz,
    -- Its transcriptions are being erased, then it goes itself.
    deleted_at timestamptz,
    -- When it is looked at next, by schedule or since somebody asked.
    next_listing_at timestamptz not null default now(),
    run_asked_at timestamptz,
    listed_at timestamptz,
    -- What the last look has left for the next.
    feed_state jsonb not null default '{}',
    -- A listing of the whole history: where it goes on, null where none is under way; when it began;
    -- when the last one came to its end.
    history_next integer default 0,
    history_began_at timestamptz,
    history_total integer,
    history_done_at timestamptz,
    -- Taken since it was last due by its schedule: `max_new` bounds it.
    taken integer not null default 0,
    -- The next look goes on with this one, and does not begin that count anew.
    is_continued boolean not null default false,
    -- The run that lists it now: fences its writes.
    run_id text,
    heartbeat_at timestamptz,
    -- In a row, and since when.
    failures integer not null default 0,
    failing_since timestamptz,
    error_code text,
    error_message text,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    unique (owner, source_id)
);
create index on ytcaption.channel (next_listing_at);
create index on ytcaption.channel (created_at desc, id desc);

-- What a listing of the whole history has seen so far, a row a page: what is missing at its end is gone.
create table ytcaption.channel_page (
    channel_id text not null references ytcaption.channel (id) on delete cascade,
    start integer not null,
    media_ids text[] not null,
    primary key (channel_id, start)
);

-- What has been seen in a channel's list, taken or not, and why.
create table ytcaption.channel_item (
    channel_id text not null references ytcaption.channel (id) on delete cascade,
    media_id text not null,
    -- The smaller, the newer, by the order of the source's list.
    place double precision not null,
    kind text not null check (kind in ('site', 'direct', 'upload')),
    url text,
    extractor text,
    title text,
    published_at timestamptz,
    duration_s double precision,
    audio_bytes bigint,
    is_short boolean not null default false,
    live text check (live in ('upcoming', 'live', 'over')),
    -- new: to be taken; queued: a request was made; filtered: left out; waiting: not over yet;
    -- refused: cannot be asked for; gone: was there, is private or deleted now; erased: never again.
    state text not null check (
        state in ('new', 'queued', 'filtered', 'waiting', 'refused', 'gone', 'erased')),
    reason text,
    transcription_id text,
    -- The source has other audio under the same id: seen, and offered for transcribing anew.
    changed_at timestamptz,
    change text,
    first_seen_at timestamptz not null default now(),
    -- When its row last changed: a listing that sees nothing new writes nothing.
    updated_at timestamptz not null default now(),
    queued_at timestamptz,
    primary key (channel_id, media_id)
);
create index on ytcaption.channel_item (channel_id, place, media_id);
create index on ytcaption.channel_item (channel_id, place, media_id) where state = 'new';
create index on ytcaption.channel_item (media_id);
create index on ytcaption.channel_item (transcription_id) where transcription_id is not null;
