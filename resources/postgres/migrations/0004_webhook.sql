-- Where somebody is told of their transcriptions. Without URL: the `callback_url` of their requests,
-- one row an owner.
create table ytcaption.webhook (
    id uuid primary key default ytcaption.uuid7(),
    owner text not null,
    url text,
    description text not null default '',
    event_types text[] not null
        default '{transcription.completed,transcription.failed,transcription.canceled}',
    include text check (include in ('result')),
    disabled_at timestamptz,
    disabled_reason text check (disabled_reason in ('owner', 'gone', 'revoked')),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    check ((disabled_at is null) = (disabled_reason is null))
);
create index on ytcaption.webhook (owner, id);
create unique index webhook_of_callbacks on ytcaption.webhook (owner) where url is null;

-- What signs: encrypted, by a key that is not in the database. After a rotation those before it sign,
-- too, until they end.
create table ytcaption.webhook_secret (
    id uuid primary key default ytcaption.uuid7(),
    webhook_id uuid not null references ytcaption.webhook (id) on delete cascade,
    sealed text not null,
    ends_at timestamptz
);
create unique index webhook_secret_in_force on ytcaption.webhook_secret (webhook_id)
    where ends_at is null;
create index on ytcaption.webhook_secret (webhook_id);

alter table ytcaption.request add column callback_url text;
alter table ytcaption.request add column callback_include text
    check (callback_include in ('result'));

-- The outbox: what is to be sent, and what became of it. `event_id` is the `webhook-id`.
create table ytcaption.delivery (
    id uuid primary key default ytcaption.uuid7(),
    webhook_id uuid not null references ytcaption.webhook (id) on delete cascade,
    owner text not null,
    url text not null,
    -- Deliveries of one lane share its places: one slow receiver takes no others'.
    lane text not null generated always as (
        webhook_id::text || ' ' || substring(url from '^[a-z]+://[^/?#]+')) stored,
    event_id uuid not null default ytcaption.uuid7(),
    event_type text not null,
    transcription_id text references ytcaption.transcription (id) on delete cascade,
    request_ids uuid[] not null default '{}',
    include text,
    status text not null default 'waiting' check (status in ('waiting', 'delivered', 'dead')),
    -- Attempts made, in all, and before this series of them.
    attempt integer not null default 0,
    series_start integer not null default 0,
    next_attempt_at timestamptz not null default now(),
    lease uuid,
    leased_until timestamptz,
    last_outcome text,
    created_at timestamptz not null default now(),
    settled_at timestamptz,
    unique (webhook_id, event_id, url),
    check ((lease is null) = (leased_until is null)),
    check ((status = 'waiting') = (settled_at is null))
);
create index delivery_lane on ytcaption.delivery (lane, next_attempt_at, id) where status = 'waiting';
create index delivery_leased on ytcaption.delivery (lane) where lease is not null;
create index delivery_due on ytcaption.delivery (next_attempt_at) where status = 'waiting';
create index delivery_dead on ytcaption.delivery (id) where status = 'dead';
create index delivery_settled on ytcaption.delivery (settled_at) where status <> 'waiting';
create index on ytcaption.delivery (webhook_id, id);
create index delivery_of_owner on ytcaption.delivery (owner) where status = 'waiting';
create index on ytcaption.delivery (transcription_id);

create table ytcaption.delivery_attempt (
    delivery_id uuid not null references ytcaption.delivery (id) on delete cascade,
    number integer not null,
    at timestamptz not null default now(),
    took_s double precision not null,
    outcome text not null,
    status_code integer,
    answer text not null default '',
    primary key (delivery_id, number)
);

-- Each event's deliveries, in the transaction that writes the event, whatever part of us does. By the
-- indexes always: a session keeps its plan, and one made while the tables were small would read them
-- whole, once an event.
create function ytcaption.add_deliveries() returns trigger
language plpgsql security definer set search_path = '' set enable_seqscan = off as $$
declare
    told text := new.event_type;
begin
    if told = 'request.created' then
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
        and (new.event_type <> 'request.created' or request.id = (new.data ->> 'request_id')::uuid)
        and webhook.disabled_at is null and told = any (webhook.event_types)
        and coalesce(webhook.url, request.callback_url) is not null
    group by webhook.id, coalesce(webhook.url, request.callback_url)
    order by webhook.id;
    if found then perform pg_notify('ytcaption_delivery', ''); end if;
    return null;
end
$$;
create trigger event_is_delivered after insert on ytcaption.event
    for each row when (new.event_type in (
        'request.created', 'transcription.queued', 'transcription.started',
        'transcription.retry_queued', 'transcription.completed', 'transcription.failed',
        'transcription.canceled'))
    execute function ytcaption.add_deliveries();

-- A key that opens nothing hears nothing: what waits for its webhooks and callbacks is dead.
create function ytcaption.end_webhooks_of_key() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
    update ytcaption.webhook
    set disabled_at = now(), disabled_reason = 'revoked', updated_at = now()
    where owner = 'key:' || old.id and disabled_at is null;
    update ytcaption.delivery
    set status = 'dead', settled_at = now(), lease = null, leased_until = null,
        last_outcome = coalesce(last_outcome, 'disabled')
    where owner = 'key:' || old.id and status = 'waiting';
    return null;
end
$$;
create trigger revoked_key_ends_webhooks after update of revoked_at on ytcaption.api_key
    for each row when (new.revoked_at is not null and old.revoked_at is null)
    execute function ytcaption.end_webhooks_of_key();
create trigger forgotten_key_ends_webhooks after delete on ytcaption.api_key
    for each row execute function ytcaption.end_webhooks_of_key();

-- Sums of attempts by what came of them, as those of events.
create function ytcaption.count_delivery_attempt() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
    insert into ytcaption.total as known (name, code, value)
    values ('delivery_attempts', new.outcome, 1)
    on conflict (name, code) do update set value = known.value + 1;
    return null;
end
$$;
create trigger attempt_is_counted after insert on ytcaption.delivery_attempt
    for each row execute function ytcaption.count_delivery_attempt();

-- What operators are to be told: one row a kind and subject, so that a thousand failures with one
-- cause are one message. `number` is how many were not told yet.
create table ytcaption.alert (
    code text not null,
    subject text not null default '',
    number integer not null default 1,
    first_at timestamptz not null default now(),
    last_at timestamptz not null default now(),
    last_id text not null default '',
    next_try_at timestamptz not null default now(),
    primary key (code, subject)
);
create index on ytcaption.alert (next_try_at) where number > 0;

-- For every part: whoever finds something that an operator must know says so in its transaction.
create function ytcaption.raise_alert(code text, subject text, id text) returns void
language sql security definer set search_path = '' as $$
    insert into ytcaption.alert as known (code, subject, last_id)
    values (code, subject, id)
    on conflict on constraint alert_pkey do update
    set number = known.number + 1, last_at = now(), last_id = excluded.last_id,
        first_at = case known.number when 0 then now() else known.first_at end;
    select pg_notify('ytcaption_delivery', '');
$$;

-- Of failures for good, those that only an operator can end.
create function ytcaption.alert_failure() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
    perform ytcaption.raise_alert('transcription_failed', new.data ->> 'code', new.transcription_id);
    return null;
end
$$;
create trigger failure_is_told after insert on ytcaption.event
    for each row when (new.event_type = 'transcription.failed' and new.data ->> 'code' in (
        'setup_error', 'disk_full', 'storage_error', 'database_unavailable', 'dagster_unavailable',
        'object_store_unavailable', 'object_not_found', 'object_corrupt', 'lake_unavailable',
        'model_unavailable', 'model_corrupt', 'internal_error'))
    execute function ytcaption.alert_failure();
