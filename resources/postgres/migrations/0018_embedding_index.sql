-- An index of vectors that is made with more care (pgvector's own number is 64) finds twice as much of what is like nothing
-- else: docs/search.md, "How much is found". One that is there already is made with it from now on; as a whole by
-- `reindex index concurrently`.
do $$
declare
    made text;
begin
    for made in
        select format('%I.%I', schemaname, indexname) from pg_catalog.pg_indexes
        where schemaname = 'ytcaption' and tablename = 'embedding' and indexname like 'embedding\_of\_model\_%'
    loop
        execute format('alter index %s set (ef_construction = 256)', made);
    end loop;
end
$$;

create or replace function ytcaption.embedding_model_of(model text, model_revision text, model_dimensions integer)
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
        'using hnsw ((vector::%2$I.halfvec(%3$s)) %2$I.halfvec_cosine_ops) with (ef_construction = 256) '
        'where model_id = %1$s',
        found, extension, model_dimensions
    );
    return found;
end
$$;
