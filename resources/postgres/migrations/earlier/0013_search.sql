-- An earlier text of 0013_search.sql to the present one: stop words count in a phrase, so every segment's words are
-- computed anew.
do $$
declare
    name text;
    plain text;
    whole text;
begin
    create temporary table spoken on commit drop as
    select code, cfgname::text as name from (values
        ('en', 'english'), ('ar', 'arabic'), ('hy', 'armenian'), ('eu', 'basque'), ('ca', 'catalan'), ('da', 'danish'),
        ('nl', 'dutch'), ('et', 'estonian'), ('fi', 'finnish'), ('fr', 'french'), ('de', 'german'), ('el', 'greek'),
        ('hi', 'hindi'), ('hu', 'hungarian'), ('id', 'indonesian'), ('it', 'italian'), ('lt', 'lithuanian'),
        ('ne', 'nepali'), ('no', 'norwegian'), ('nn', 'norwegian'), ('pt', 'portuguese'), ('ro', 'romanian'),
        ('ru', 'russian'), ('sr', 'serbian'), ('es', 'spanish'), ('sv', 'swedish'), ('ta', 'tamil'), ('tr', 'turkish'),
        ('yi', 'yiddish')
    ) as language (code, name)
    join pg_catalog.pg_ts_config on cfgname = language.name
    join pg_catalog.pg_namespace on pg_namespace.oid = cfgnamespace and nspname = 'pg_catalog';
    for name in select distinct spoken.name from spoken loop
        execute format(
            'create text search dictionary ytcaption.%1$s (template = pg_catalog.snowball, language = %1$L)', name);
    end loop;
    for name in select distinct spoken.name from spoken loop
        execute format('create text search configuration ytcaption.%1$s (copy = pg_catalog.%1$s)', name);
        execute format('alter text search configuration ytcaption.%1$s '
            'alter mapping replace pg_catalog.%1$s_stem with ytcaption.%1$s', name);
        execute format('alter text search configuration ytcaption.%1$s '
            'alter mapping replace pg_catalog.english_stem with ytcaption.english', name);
    end loop;
    select string_agg(format('when %L then %L::pg_catalog.regconfig', code, 'pg_catalog.' || spoken.name), ' '),
        string_agg(format('when %L then %L::pg_catalog.regconfig', code, 'ytcaption.' || spoken.name), ' ')
    into plain, whole from spoken;
    execute format(
        'create function ytcaption.search_configuration(language text, has_stop_words boolean) returns regconfig '
        'language sql immutable parallel safe return coalesce('
        'case when has_stop_words then case language %s end else case language %s end end, '
        '''pg_catalog.simple''::pg_catalog.regconfig)',
        whole, plain
    );
end
$$;

create or replace function ytcaption.search_stems(language text, said text) returns tsvector
language sql immutable parallel safe
return ytcaption.search_folded(
    to_tsvector(ytcaption.search_configuration(language, true), ytcaption.search_words(said))::text
)::tsvector;
drop function ytcaption.search_configuration(text);

create or replace function ytcaption.search_term(language text, said text, is_prefix boolean) returns tsquery
language plpgsql immutable parallel safe as $$
declare
    words constant text := ytcaption.search_words(said, true);
    exactly tsquery := ytcaption.search_folded(
        phraseto_tsquery(ytcaption.search_configuration(language, true), words)::text)::tsquery;
    beginning tsquery;
begin
    if not is_prefix and position(' ' in said) = 0
        and numnode(phraseto_tsquery(ytcaption.search_configuration(language, false), words)) = 0
    then
        return '';
    end if;
    if octet_length(words) <> length(words) then
        -- One character alone of a script that is kept in pairs: it begins one.
        exactly := regexp_replace(
            exactly::text,
            '''([\u0e00-\u0fff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u3130-\u318f'
            '\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003134f])''',
            '''\1'':*', 'g'
        )::tsquery;
    end if;
    if not is_prefix then
        return exactly;
    end if;
    beginning := ytcaption.search_folded(phraseto_tsquery('pg_catalog.simple', words)::text)::tsquery;
    if numnode(beginning) > 1 then
        beginning := exactly;
    end if;
    if right(beginning::text, 1) = '''' then
        beginning := (beginning::text || ':*')::tsquery;
    end if;
    return exactly || beginning;
end
$$;

update ytcaption.segment set tsv = told.tsv from (
    select transcription_id, index, ytcaption.search_vector(
        language, text, lead(text) over (partition by transcription_id order by index)) as tsv
    from ytcaption.segment
) as told where told.transcription_id = segment.transcription_id and told.index = segment.index;
