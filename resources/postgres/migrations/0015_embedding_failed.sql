-- A transcript that cannot be embedded is noted, and tried again when its text or the model is another, or by
-- `ytcaption embed`: never again and again by itself. The tables are there where pgvector is (0014).

alter function ytcaption.make_embeddings() rename to make_embedding_tables;

create function ytcaption.make_embeddings() returns void language plpgsql as $$
begin
    perform ytcaption.make_embedding_tables();
    if to_regclass('ytcaption.embedding_done') is not null and not exists (
        select from pg_catalog.pg_attribute
        where attrelid = to_regclass('ytcaption.embedding_done') and attname = 'failed_at'
    ) then
        alter table ytcaption.embedding_done add column failed_at timestamptz;
    end if;
end
$$;
