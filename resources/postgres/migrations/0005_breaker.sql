-- Who hosts it, as `resources.site_domains.site_of` says; null: an upload.
alter table ytcaption.media add column site text;
update ytcaption.media
set site = regexp_replace(substring(lower(url) from '^https?://([^/?#]+)'), '^www\.', '')
where kind <> 'upload' and url is not null;

-- `owner`: who queued it; each has their turn. `source_site`: that its audio is still to come from, null where it is
-- stored. `is_downloading`: its run was let through to that site.
alter table ytcaption.transcription
    add column owner text not null default 'local',
    add column source_site text,
    add column is_downloading boolean not null default false;
update ytcaption.transcription t
set owner = coalesce((
        select owner from ytcaption.request where transcription_id = t.id order by id desc limit 1
    ), 'local'),
    source_site = (select site from ytcaption.media where id = t.media_id and audio_key is null);
create index transcription_turns
    on ytcaption.transcription (owner, (priority = 'bulk'), coalesce(source_site, ''), queued_at, id)
    where status = 'queued';

-- The one place that keeps `source_site` true, whoever stores or forgets an audio.
create function ytcaption.follow_audio() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
    update ytcaption.transcription
    set source_site = case when new.audio_key is null then new.site end, is_downloading = false
    where media_id = new.id;
    return null;
end
$$;
create trigger media_has_audio after update of audio_key, site on ytcaption.media
    for each row when (
        (old.audio_key is null) <> (new.audio_key is null) or old.site is distinct from new.site)
    execute function ytcaption.follow_audio();

-- Who asks for a media just as its audio is stored has not seen that: looked at again once its row is held.
create function ytcaption.find_audio() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
    update ytcaption.transcription t set source_site = null
    from asked join ytcaption.media on media.id = asked.media_id
    where t.id = asked.id and media.audio_key is not null;
    return null;
end
$$;
create trigger transcription_has_audio after insert on ytcaption.transcription
    referencing new table as asked for each statement execute function ytcaption.find_audio();

-- A site that has failed since its last success; no row, all is well. From `opened_at` on no download starts there.
create table ytcaption.breaker (
    site text primary key,
    -- In a row.
    failures integer not null default 0,
    code text,
    opened_at timestamptz,
    -- When one may try; null: an operator has opened it, and closes it.
    probe_at timestamptz,
    -- Who may try, as long as that run is at it.
    probe_run_id text,
    reason text not null default '',
    opened_by text,
    check (opened_at is not null or (probe_at is null and probe_run_id is null))
);

-- Sites that are not free: how many runs want something of each, and its breaker.
create view ytcaption.busy_site as
select
    coalesce(breaker.site, runs.site) as site,
    coalesce(runs.number, 0) as runs,
    breaker.opened_at is not null as is_open,
    breaker.probe_at,
    breaker.probe_run_id is not null and exists (
        select from ytcaption.transcription
        where run_id = breaker.probe_run_id and status = 'running' and is_downloading
    ) as is_probed
from ytcaption.breaker full join (
    select source_site as site, count(*) as number from ytcaption.transcription
    where status = 'running' and source_site is not null group by source_site
) as runs on runs.site = breaker.site;

-- What happens to a site happens to no transcription.
alter table ytcaption.event
    alter column transcription_id drop not null,
    alter column media_id drop not null;
create index on ytcaption.event ("timestamp") where transcription_id is null;
