-- An expired key is ended as a revoked one: nothing is sent to its webhooks and callbacks, and its
-- channels are paused. Time alone changes no row, so `ApiKeys.end_expired` does this every minute and
-- notes it here. `expired_key` has those that wait for it; until then nothing happens for them.
alter table ytcaption.api_key add column expiry_applied_at timestamptz;
create index api_key_owner on ytcaption.api_key (('key:' || id));

create view ytcaption.expired_key as
select 'key:' || id as owner from ytcaption.api_key
where revoked_at is null and expires_at <= now()
    and (expiry_applied_at is null or expiry_applied_at < expires_at);

create trigger expired_key_ends_webhooks after update of expiry_applied_at on ytcaption.api_key
    for each row when (new.expiry_applied_at is not null
        and new.expiry_applied_at is distinct from old.expiry_applied_at)
    execute function ytcaption.end_webhooks_of_key();

-- As in 0006, without those of expired keys.
create or replace function ytcaption.add_deliveries() returns trigger
language plpgsql security definer set search_path = '' set enable_seqscan = off as $$
declare
    sent_type text := ytcaption.webhook_event(new.event_type);
begin
    if new.event_type = 'Requested' then
        -- A request for what is completed: no other event will come.
        perform from ytcaption.transcription
        where id = new.transcription_id and status = 'completed';
        if not found then return null; end if;
        sent_type := 'transcription.completed';
    end if;
    insert into ytcaption.delivery (
        webhook_id, owner, url, event_id, event_type, transcription_id, request_ids, include)
    select webhook.id, webhook.owner, coalesce(webhook.url, request.callback_url), new.event_id,
        sent_type, new.transcription_id, (array_agg(request.id order by request.id desc))[1:100],
        max(case when webhook.url is null then request.callback_include else webhook.include end)
    from ytcaption.request join ytcaption.webhook on webhook.owner = request.owner
    where request.transcription_id = new.transcription_id
        and (new.event_type <> 'Requested' or request.id = (new.data ->> 'request_id')::uuid)
        and webhook.disabled_at is null and sent_type = any (webhook.event_types)
        and coalesce(webhook.url, request.callback_url) is not null
        and not exists (
            select from ytcaption.expired_key where expired_key.owner = webhook.owner)
    group by webhook.id, coalesce(webhook.url, request.callback_url)
    order by webhook.id;
    if found then perform pg_notify('ytcaption_delivery', ''); end if;
    return null;
end
$$;
