-- How often operators are told what became of a channel's items; until when they have been; when
-- it is looked at next.
alter table ytcaption.channel
    add column digest text not null default 'never' check (digest in ('never', 'daily', 'weekly')),
    add column digest_until timestamptz not null default now(),
    add column digest_at timestamptz not null default now();
