-- What passages of speech mean, as vectors of pgvector: tables that a server without that extension does without.
-- They are made, and may be used, by `ytcaption.make_embeddings()`, which every `migrate` calls: the extension may
-- come later. What they hold is computed from segments, so that no dump has them.

create function ytcaption.make_embeddings() returns void language plpgsql as $$
declare
    part text;
begin
    if to_regclass('ytcaption.embedding') is null then
        begin
            create extension if not exists vector;
        exception when others then
            return;  -- it is not installed, or this user may not
        end;
        if to_regtype('halfvec') is null or not exists (
            select from pg_catalog.pg_extension
            where extname = 'vector' and string_to_array(extversion, '.')::integer[] >= '{0,8}'
        ) then
            return;
        end if;
        -- One that was trained again is another: what two have made is never compared.
        create table ytcaption.embedding_model (
            id integer primary key generated always as identity,
            name text not null,
            revision text not null,
            dimensions integer not null check (dimensions between 1 and 4000),
            unique (name, revision)
        );
        -- Of which transcripts there are passages, also where that is none, since nobody says anything.
        create table ytcaption.embedding_done (
            transcription_id text primary key references ytcaption.transcription (id) on delete cascade,
            model_id integer not null references ytcaption.embedding_model (id),
            document_sha256 text not null,
            done_at timestamptz not null default now()
        );
        -- Passages overlap; each is of segments, the first to the last.
        create table ytcaption.embedding (
            transcription_id text not null references ytcaption.transcription (id) on delete cascade,
            first_index integer not null,
            last_index integer not null check (last_index >= first_index),
            model_id integer not null references ytcaption.embedding_model (id),
            vector halfvec not null,
            primary key (transcription_id, first_index)
        );
    end if;
    foreach part in array array['ytcaption_api', 'ytcaption_dagster'] loop
        if exists (select from pg_catalog.pg_roles where rolname = part) then
            execute format('grant select on ytcaption.embedding_model, ytcaption.embedding_done, '
                'ytcaption.embedding to %I', part);
        end if;
    end loop;
    if exists (select from pg_catalog.pg_roles where rolname = 'ytcaption_dagster') then
        grant insert, update, delete on ytcaption.embedding_done, ytcaption.embedding to ytcaption_dagster;
        grant execute on function ytcaption.embedding_model_of(text, text, integer) to ytcaption_dagster;
    end if;
end
$$;

-- The number of a model, which has its own index from then on. Of the tables' owner, since others make no index.
create function ytcaption.embedding_model_of(model text, model_revision text, model_dimensions integer)
returns integer language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    found integer;
    extension text;
begin
    insert into ytcaption.embedding_model (name, revision, dimensions)
    values (model, model_revision, model_dimensions)
    on conflict do nothing returning id into found;
    if found is null then
        select id into found from ytcaption.embedding_model where name = model and revision = model_revision;
        return found;
    end if;
    select nspname into extension from pg_extension join pg_namespace on pg_namespace.oid = extnamespace
    where extname = 'vector';
    execute format(
        'create index embedding_of_model_%1$s on ytcaption.embedding '
        'using hnsw ((vector::%2$I.halfvec(%3$s)) %2$I.halfvec_cosine_ops) where model_id = %1$s',
        found, extension, model_dimensions
    );
    return found;
end
$$;
revoke execute on function ytcaption.embedding_model_of(text, text, integer) from public;

-- With a text goes what it meant.
create function ytcaption.forget_embeddings(id text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    if to_regclass('ytcaption.embedding') is not null then
        delete from ytcaption.embedding where transcription_id = id;
        delete from ytcaption.embedding_done where transcription_id = id;
    end if;
end
$$;
revoke execute on function ytcaption.forget_embeddings(text) from public;
