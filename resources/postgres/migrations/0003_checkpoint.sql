-- What runs have heard of an audio so far, for the next attempt; gone once the text is stored.
create table ytcaption.checkpoint (
    transcription_id text not null references ytcaption.transcription (id) on delete cascade,
    number integer not null,
    audio_sha256 text not null,
    part text not null,
    saved_at timestamptz not null default now(),
    primary key (transcription_id, number)
);
create index on ytcaption.checkpoint (saved_at);
