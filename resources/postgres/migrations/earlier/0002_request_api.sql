-- Four earlier texts of 0002_request_api.sql to the present one: each adds to the one before it.
alter table ytcaption.transcription
    add column if not exists started_at timestamptz,
    add column if not exists stage_started_at timestamptz;
create index if not exists request_owner_transcription_id_id_idx on ytcaption.request (owner, transcription_id, id);
drop index if exists ytcaption.request_owner_transcription_id_idx;
create index if not exists request_transcription_id_id_idx on ytcaption.request (transcription_id, id);
drop index if exists ytcaption.request_transcription_id_idx;
drop index if exists ytcaption.transcription_created_at_idx;
create index if not exists transcription_queue on ytcaption.transcription ((priority = 'bulk'), queued_at, id)
    where status = 'queued';
drop index if exists ytcaption.transcription_expr_queued_at_idx;
create index if not exists media_expr_idx on ytcaption.media ((info ->> 'channel_id'));
create index if not exists media_lower_idx on ytcaption.media (lower(info ->> 'channel'));

-- Without sums there was no 0006 either, which renames events and needs the trigger.
do $bridge$
begin
    if to_regclass('ytcaption.total') is not null then
        return;
    end if;
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
end
$bridge$;

-- Used audio is kept under the hash of its transcription's id.
create table if not exists ytcaption.audio_use (
    owner text not null,
    id_sha256 text not null,
    audio_s double precision not null,
    used_at timestamptz not null default now()
);
create index if not exists audio_use_owner_used_at_idx on ytcaption.audio_use (owner, used_at);
create index if not exists audio_use_used_at_idx on ytcaption.audio_use (used_at);
do $bridge$
begin
    if exists (
        select from pg_catalog.pg_attribute
        where attrelid = 'ytcaption.audio_use'::regclass and attname = 'transcription_id' and not attisdropped
    ) then
        alter table ytcaption.audio_use rename column transcription_id to id_sha256;
        update ytcaption.audio_use set id_sha256 = encode(sha256(convert_to(id_sha256, 'UTF8')), 'hex');
    end if;
end
$bridge$;
create or replace function ytcaption.note_audio_use() returns trigger
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
create or replace trigger audio_is_counted after update of status on ytcaption.transcription
    for each row when (
        new.status = 'completed' and old.status <> 'completed' and new.duration_s is not null)
    execute function ytcaption.note_audio_use();
