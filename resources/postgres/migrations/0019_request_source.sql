-- What came with a request belongs to its owner: the title (the name of an uploaded file, the title in a channel's list) and
-- the link, which may be signed. `media` keeps what the source publishes, and the link of the next download.
-- `media.title` is written by earlier versions only; the version after this one drops it.
alter table ytcaption.request
    add column title text,
    add column url text;

-- Until now everybody saw the title that a media was requested with first: it belongs to who gave it.
update ytcaption.media
set title = coalesce(title, info ->> 'title'), info = info - 'title'
where kind = 'upload' and info ? 'title';
update ytcaption.request
set title = given.title
from (
    select distinct on (media.id) media.id as media_id, request.owner, media.title
    from ytcaption.media
    join ytcaption.transcription on transcription.media_id = media.id
    join ytcaption.request on request.transcription_id = transcription.id
    where media.title is not null
    order by media.id, request.id
) as given, ytcaption.transcription
where transcription.media_id = given.media_id and request.transcription_id = transcription.id
    and request.owner = given.owner;

-- Of links of one file that differ in their signature the last one is stored.
update ytcaption.request
set url = given.url
from (
    select distinct on (media.id) media.id as media_id, request.owner, media.url
    from ytcaption.media
    join ytcaption.transcription on transcription.media_id = media.id
    join ytcaption.request on request.transcription_id = transcription.id
    where media.kind = 'direct' and media.url is not null
    order by media.id, request.id desc
) as given, ytcaption.transcription
where transcription.media_id = given.media_id and request.transcription_id = transcription.id
    and request.owner = given.owner;

-- A request that names neither, such as one for another version, has those of its owner's earlier requests for the media:
-- they outlive these. An earlier version of the code writes the title into a media that it has just created.
create function ytcaption.inherit_source() returns trigger language plpgsql as $$
declare
    media ytcaption.media;
begin
    select media_row.* into media
    from ytcaption.transcription join ytcaption.media as media_row on media_row.id = media_id
    where transcription.id = new.transcription_id;
    if new.title is null and media.kind <> 'site' then
        select request.title into new.title
        from ytcaption.transcription
        join ytcaption.request on request.transcription_id = transcription.id
        where transcription.media_id = media.id and request.owner = new.owner
            and request.title is not null
        order by request.id desc limit 1;
    end if;
    if new.title is null and media.created_at = now() then
        new.title := media.title;
    end if;
    if new.url is null and media.kind = 'direct' then
        select request.url into new.url
        from ytcaption.transcription
        join ytcaption.request on request.transcription_id = transcription.id
        where transcription.media_id = media.id and request.owner = new.owner
            and request.url is not null
        order by request.id desc limit 1;
    end if;
    return new;
end
$$;
create trigger request_inherits_source before insert on ytcaption.request
    for each row when (new.title is null or new.url is null)
    execute function ytcaption.inherit_source();

-- For whom a transcription was erased, as a hash of its id and the owner: these are answered 410, all others 404, whatever
-- others have erased or requested again since.
create table ytcaption.erased_for (
    id_owner_sha256 text primary key,
    erased_at timestamptz not null default now()
);
