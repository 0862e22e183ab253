-- Three earlier texts of 0010_channel.sql to the present one. With the first one nothing could subscribe to a channel.
alter table ytcaption.channel
    add column if not exists site text,
    add column if not exists deleted_at timestamptz,
    add column if not exists history_began_at timestamptz,
    add column if not exists taken integer not null default 0,
    add column if not exists is_continued boolean not null default false,
    add column if not exists failing_since timestamptz,
    alter column history_next drop not null,
    drop column if exists history_ends_at_known;
update ytcaption.channel
set site = case
    when url ~* '^https?://([^/?#]*\.)?(youtube\.com|youtu\.be)([/?#]|$)' then 'youtube'
    else coalesce(regexp_replace(substring(lower(url) from '^https?://([^/?#]+)'), '^www\.', ''), '')
end
where site is null;
alter table ytcaption.channel alter column site set not null;
create index if not exists channel_created_at_id_idx on ytcaption.channel (created_at desc, id desc);

create table if not exists ytcaption.channel_page (
    channel_id text not null references ytcaption.channel (id) on delete cascade,
    start integer not null,
    media_ids text[] not null,
    primary key (channel_id, start)
);

do $bridge$
begin
    if exists (
        select from pg_catalog.pg_index
        where indexrelid = to_regclass('ytcaption.channel_next_listing_at_idx') and indpred is not null
    ) then
        drop index ytcaption.channel_next_listing_at_idx;
        create index channel_next_listing_at_idx on ytcaption.channel (next_listing_at);
    end if;
    if exists (
        select from pg_catalog.pg_attribute
        where attrelid = 'ytcaption.channel_item'::regclass and attname = 'last_seen_at' and not attisdropped
    ) then
        alter table ytcaption.channel_item rename column last_seen_at to updated_at;
    end if;
end
$bridge$;
alter table ytcaption.channel_item
    add column if not exists place double precision,
    alter column url drop not null,
    drop constraint if exists channel_item_state_check;
-- The smaller, the newer, by the order of the source's list; of that only the dates are known.
update ytcaption.channel_item as item set place = ranked.place from (
    select channel_id, media_id, row_number() over (
        partition by channel_id order by published_at desc nulls last, media_id) as place
    from ytcaption.channel_item
) as ranked
where item.place is null and ranked.channel_id = item.channel_id and ranked.media_id = item.media_id;
alter table ytcaption.channel_item
    alter column place set not null,
    alter column place type double precision,
    add constraint channel_item_state_check check (
        state in ('new', 'queued', 'filtered', 'waiting', 'refused', 'gone', 'erased'));
drop index if exists ytcaption.channel_item_channel_id_published_at_media_id_idx;
drop index if exists ytcaption.channel_item_channel_id_idx;
create index if not exists channel_item_channel_id_place_media_id_idx
    on ytcaption.channel_item (channel_id, place, media_id);
create index if not exists channel_item_channel_id_place_media_id_idx1
    on ytcaption.channel_item (channel_id, place, media_id) where state = 'new';
