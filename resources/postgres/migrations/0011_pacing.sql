-- How a site is treated: when the next bulk download and the next list may be asked of it.
create table ytcaption.pace (
    site text primary key,
    -- Of the download that was let through last: how long bulk work waits once it has ended.
    pause_s double precision not null default 0,
    next_at timestamptz,
    lists_next_at timestamptz,
    -- Why bulk work waits, as whoever decided whose turn it is has seen it last; null: it does not.
    rest_code text check (rest_code in ('quiet_hours', 'bytes_a_day', 'pause')),
    rests_until timestamptz,
    updated_at timestamptz not null default now()
);

-- What a site has given on a day of the installation's time zone.
create table ytcaption.site_day (
    site text not null,
    day date not null,
    downloads integer not null default 0,
    lists integer not null default 0,
    bytes bigint not null default 0,
    primary key (site, day)
);

-- A proxy that downloads go through, by its address without user and password.
create table ytcaption.upstream_proxy (
    name text primary key,
    -- In a row.
    failures integer not null default 0,
    rests_until timestamptz,
    error text,
    used_at timestamptz,
    worked_at timestamptz
);
