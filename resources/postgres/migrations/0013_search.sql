-- Search over what was said: each segment has the words of its text as its language stems them, and pairs of
-- characters where no spaces part the words.

-- Lower case of all scripts, also where the database itself knows that of ASCII only.
do $$
begin
    execute format(
        'create function ytcaption.search_lower(said text) returns text language sql immutable strict parallel safe '
        'return lower(said %s)',
        case when exists (select from pg_catalog.pg_collation where collname = 'pg_c_utf8')
            then 'collate pg_catalog.pg_c_utf8' else '' end
    );
end
$$;

-- Whisper's codes to the configurations that this server has, `simple` for all others; each as it is, and once more
-- with its stop words, which count in a phrase.
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

-- Text as Postgres' parser is to have it: lower case, no punctuation but that inside words, and each run of a script
-- without spaces (and of Hangul, whose particles cling to the word) as its pairs of characters, the last one alone, too.
-- In a question that last one is left out: it need not end the run that is found.
create function ytcaption.search_words(said text, is_asked boolean default false) returns text
language plpgsql immutable strict parallel safe as $$
declare
    unspaced constant text := '\u0e00-\u0fff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u3005-\u3007\u3040-\u30ff'
        '\u3130-\u318f\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003134f';
    plain text := left(said, 10000);
begin
    if octet_length(plain) = length(plain) then
        return lower(translate(plain, '-/\_@:;<>&|!()*"+=#~^`{}[]$%,?', repeat(' ', 30)));
    end if;
    plain := translate(ytcaption.search_lower(normalize(plain, NFKC)), '’ʼ', '''''');
    plain := regexp_replace(
        plain,
        '[-/\\_@:;<>&|!()*"+=#~^`{}\[\]$%,?\u00a1-\u00a9\u00ab-\u00b4\u00b6-\u00b9\u00bb\u00bf\u055a-\u055f\u0589\u058a'
        '\u05be\u05c0\u05c3\u05f3\u05f4\u060c\u061b\u061f\u066a-\u066d\u06d4\u0964\u0965\u0e2f\u0e5a\u0e5b\u104a-\u104f'
        '\u1361-\u1368\u17d4-\u17da\u2000-\u206f\u2190-\u2bff\u3000-\u3004\u3008-\u3030\u303d\u30fb\uff5f-\uff65]+',
        ' ', 'g'
    );
    if plain ~ format('[%s]', unspaced) then
        select string_agg(
            case when run[1] is null then run[2] else (
                select string_agg(substr(run[1], place, 2), ' ' order by place)
                from generate_series(1, greatest(length(run[1]) - is_asked::integer, 1)) as place
            ) end, ' ' order by number
        ) into plain
        from regexp_matches(plain, format('([%s]+)|([^%s]+)', unspaced, unspaced), 'g')
            with ordinality as found (run, number);
    end if;
    return plain;
end
$$;

-- A tsvector or tsquery as text, without the accents that follow a letter: who looks for cafe finds café. After stemming,
-- which needs them.
create function ytcaption.search_folded(lexemes text) returns text language sql immutable strict parallel safe
return case when octet_length(lexemes) = length(lexemes) then lexemes
    else normalize(regexp_replace(normalize(lexemes, NFD), '([^''])[\u0300-\u036f]+', '\1', 'g'), NFC) end;

create function ytcaption.search_stems(language text, said text) returns tsvector
language sql immutable parallel safe
return ytcaption.search_folded(
    to_tsvector(ytcaption.search_configuration(language, true), ytcaption.search_words(said))::text
)::tsvector;

-- What a segment is found by. Of what follows it a few words, with less weight, so that what is said across two segments
-- is found as well.
create function ytcaption.search_vector(language text, said text, following text) returns tsvector
language sql immutable parallel safe
return setweight(ytcaption.search_stems(language, said), 'A')
    || ytcaption.search_stems(language, coalesce(
        substring(left(following, 40) from '^(.*\S)\s'), left(following, 40), ''));

-- A word, or words next to each other, as a question; empty where it is a stop word.
create function ytcaption.search_term(language text, said text, is_prefix boolean) returns tsquery
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

-- What single words are found by, to mark in a text what was found.
create function ytcaption.search_lexemes(language text, said text) returns text[]
language sql immutable parallel safe
return tsvector_to_array(ytcaption.search_stems(language, said));

-- The day that its source names, else that it was asked for: searches begin with the newest.
alter table ytcaption.transcription add column published_on text;
create function ytcaption.search_day(info jsonb, created_at timestamptz) returns text
language sql immutable parallel safe
return case when info ->> 'upload_date' ~ '^\d{4}-\d\d-\d\d$' then info ->> 'upload_date'
    else to_char(created_at at time zone 'UTC', 'YYYY-MM-DD') end;
update ytcaption.transcription set published_on = ytcaption.search_day(media.info, transcription.created_at)
from ytcaption.media where media.id = media_id and document_key is not null;
create index on ytcaption.transcription (published_on, id) where status = 'completed';
create index on ytcaption.transcription (language) where status = 'completed';

create function ytcaption.search_channel(info jsonb) returns text language sql immutable parallel safe
return coalesce(info ->> 'channel_id', ytcaption.search_lower(info ->> 'channel'));

create function ytcaption.written_language(language text, options jsonb) returns text
language sql immutable parallel safe
return case when language is not null and options ->> 'task' = 'translate' then 'en' else language end;

-- Words' own times are kept beside the row, so that the many rows that a search may look at are small.
alter table ytcaption.segment set (toast_tuple_target = 128);
alter table ytcaption.segment
    alter column text set storage main,
    alter column tsv drop expression,
    alter column tsv set storage main,
    add column language text;
drop index ytcaption.segment_tsv_idx;
update ytcaption.segment set language = told.language, tsv = told.tsv from (
    select transcription_id, index, written.language, ytcaption.search_vector(
        written.language, text, lead(text) over (partition by transcription_id order by index)) as tsv
    from ytcaption.segment join ytcaption.transcription on transcription.id = transcription_id
    cross join lateral (select ytcaption.written_language(transcription.language, options)) as written (language)
) as told where told.transcription_id = segment.transcription_id and told.index = segment.index;
-- Without a list of what is still to be sorted in, which each search would have to read.
create index segment_tsv_idx on ytcaption.segment using gin (tsv) with (fastupdate = off);
