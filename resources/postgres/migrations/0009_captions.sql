-- What came of looking for captions, from the asset that fetches to the one that makes the text; gone once that is stored.
create table ytcaption.caption_track (
    transcription_id text primary key references ytcaption.transcription (id) on delete cascade,
    choice jsonb not null,
    extension text,
    track bytea,
    saved_at timestamptz not null default now(),
    check ((extension is null) = (track is null))
);
create index on ytcaption.caption_track (saved_at);
