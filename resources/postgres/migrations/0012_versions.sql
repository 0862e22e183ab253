-- The audio that was stored last, kept when the file goes by its age: other audio under the same id is noticed when it is
-- fetched again, and offered for transcribing anew.
alter table ytcaption.media
    add column last_sha256 text,
    add column last_duration_s double precision,
    add column changed_at timestamptz,
    add column change text;
update ytcaption.media set last_sha256 = audio_sha256, last_duration_s = audio_duration_s;

-- Captions that people made, fetched beside audio that is heard all the same: what is heard is measured by them. They stay
-- as long as the audio does.
create table ytcaption.caption_reference (
    media_id text primary key references ytcaption.media (id) on delete cascade,
    language text not null,
    extension text not null,
    track bytea not null,
    saved_at timestamptz not null default now()
);

-- What was heard beside captions that people made. Numbers only; the lake has the same row.
create table ytcaption.caption_accuracy (
    transcription_id text primary key references ytcaption.transcription (id) on delete cascade,
    -- Of what was measured: a text made anew has other errors.
    document_sha256 text not null,
    -- track: fetched beside the audio; transcription: another one of the media, which is made of them.
    reference_kind text not null check (reference_kind in ('track', 'transcription')),
    hits integer not null,
    substitutions integer not null,
    deletions integer not null,
    insertions integer not null,
    measured_at timestamptz not null default now()
);
