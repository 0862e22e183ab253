"""Schemas as Postgres' catalog describes them: their differences, and what a change takes away."""

from dataclasses import dataclass

from psycopg import Connection

_IN_SCHEMA = "to_regnamespace('ytcaption')"

_QUERIES = {
    "table": f"""
        select relname, concat_ws(' ', relkind, relpersistence, relreplident, reloptions)
        from pg_class where relnamespace = {_IN_SCHEMA} and relkind in ('r', 'p', 'f')
    """,
    "view": f"""
        select relname, pg_get_viewdef(oid) from pg_class
        where relnamespace = {_IN_SCHEMA} and relkind in ('v', 'm')
    """,
    "column": f"""
        select c.relname || '.' || attname, concat_ws(' ',
            format_type(atttypid, atttypmod), case when attnotnull then 'not null' end,
            'default ' || pg_get_expr(adbin, adrelid),
            'generated ' || nullif(attgenerated::text, ''),
            'identity ' || nullif(attidentity::text, ''),
            'storage ' || attstorage::text, 'statistics ' || attstattarget)
        from pg_attribute join pg_class c on c.oid = attrelid
        left join pg_attrdef on adrelid = attrelid and adnum = attnum
        where c.relnamespace = {_IN_SCHEMA} and relkind in ('r', 'p', 'f', 'v', 'm')
            and attnum > 0 and not attisdropped
    """,
    # Not those of `not null` (18 and later), whose names may differ: columns say it.
    "constraint": f"""
        select conrelid::regclass || '.' || conname, pg_get_constraintdef(oid)
        from pg_constraint where connamespace = {_IN_SCHEMA} and contype <> 'n' and conrelid <> 0
    """,
    "index": f"""
        select indexrelid::regclass::text, pg_get_indexdef(indexrelid)
        from pg_index join pg_class on pg_class.oid = indexrelid where relnamespace = {_IN_SCHEMA}
    """,
    "trigger": f"""
        select tgrelid::regclass || '.' || tgname,
            concat_ws(' ', tgenabled, pg_get_triggerdef(t.oid))
        from pg_trigger t join pg_class on pg_class.oid = tgrelid
        where relnamespace = {_IN_SCHEMA} and not tgisinternal
    """,
    "function": f"""
        select p.oid::regprocedure::text, pg_get_functiondef(p.oid)
        from pg_proc p where pronamespace = {_IN_SCHEMA}
    """,
    "text search": f"""
        select cfgname, (
            select string_agg(concat_ws(' ', maptokentype, mapseqno, mapdict::regdictionary), ', '
                order by maptokentype, mapseqno)
            from pg_ts_config_map where mapcfg = c.oid)
        from pg_ts_config c where cfgnamespace = {_IN_SCHEMA}
    """,
    "right": f"""
        select concat_ws(' ', relname, attname, grantee::regrole, privilege_type), ''
        from (
            select oid as id, relname, null as attname, relacl as acl from pg_class
            where relnamespace = {_IN_SCHEMA}
            union all
            select c.oid, relname, a.attname, attacl
            from pg_class c join pg_attribute a on attrelid = c.oid
            where relnamespace = {_IN_SCHEMA} and not attisdropped
            union all
            select oid, oid::regprocedure::text, null, proacl from pg_proc
            where pronamespace = {_IN_SCHEMA}
        ) as known cross join aclexplode(acl)
        where grantee <> 0 and grantee::regrole::text like 'ytcaption%'
    """,
}


@dataclass(frozen=True)
class Schema:
    """The objects of the schema `ytcaption`: (kind, name) -> definition."""

    objects: dict[tuple[str, str], str]

    @classmethod
    def of(cls, connection: Connection) -> "Schema":
        """Read it. Names are written with the schema."""
        connection.execute("select set_config('search_path', '', false)")
        found = {}
        for kind, query in _QUERIES.items():
            for name, definition in connection.execute(query.encode()).fetchall():
                found[kind, name] = definition or ""
        return cls(found)

    def differences(self, other: "Schema") -> list[str]:
        """Return what only one of both has, or has otherwise."""
        lines = []
        for key in sorted(self.objects.keys() | other.objects.keys()):
            mine, theirs = self.objects.get(key), other.objects.get(key)
            if mine != theirs:
                lines.append(f"{' '.join(key)}: {mine} / {theirs}")
        return lines

    def names(self, kind: str) -> set[str]:
        """Return the names of one kind."""
        return {name for each, name in self.objects if each == kind}


def contractions(before: Schema, after: Schema) -> list[str]:
    """Return what programs written for `before` can no longer do in `after`.

    What is gone or has another type, and what is stricter: columns that must have a value,
    constraints and unique indexes on tables that were there. A trigger that refuses rows is not
    seen, nor a function with the same parameters that does something else.
    """
    tables = before.names("table")
    found = []
    gone = before.objects.keys() - after.objects.keys()
    reported = {name for kind, name in gone if kind in ("table", "view", "function")}
    # Rights name tables and columns as in "media title ytcaption_api UPDATE".
    whole = tuple(f"{name} " for name in reported) + tuple(
        f"{name.replace('.', ' ')} " for kind, name in gone if kind == "column"
    )
    for kind, name in sorted(gone):
        if kind in ("index", "trigger", "constraint", "text search"):
            # Nothing refers to them by name; but `on conflict` needs a unique index.
            definition = before.objects[kind, name]
            table = definition.partition(" ON ytcaption.")[2].partition(" ")[0]
            if definition.startswith("CREATE UNIQUE") and table in after.names("table"):
                found.append(f"unique index {name} is gone")
            continue
        if kind == "right" and name.startswith(whole):
            continue
        if kind == "column" and name.rpartition(".")[0] in reported:
            continue
        found.append(f"{kind} {name} is gone")
    for (kind, name), definition in sorted(after.objects.items()):
        old = before.objects.get((kind, name))
        table = name.rpartition(".")[0].removeprefix("ytcaption.")
        if kind == "column" and old is not None and _type(old) != _type(definition):
            found.append(f"column {name} changes its type: {_type(old)} to {_type(definition)}")
        if kind == "column" and table in tables and " not null" in definition:
            is_filled = any(
                word in definition for word in (" default ", " generated ", " identity ")
            )
            if old is None and not is_filled:
                found.append(f"column {name} is new, not null and has no default")
            elif old is not None and " not null" not in old:
                found.append(f"column {name} becomes not null")
        if kind == "constraint" and table in tables and old != definition:
            found.append(f"constraint {name} is new or differs: {definition}")
        if kind == "index" and old != definition and definition.startswith("CREATE UNIQUE"):
            on = definition.partition(" ON ytcaption.")[2].partition(" ")[0]
            if on in tables:
                found.append(f"unique index {name} is new or differs: {definition}")
    return found


def _type(definition: str) -> str:
    for word in (" not null", " default ", " generated ", " identity ", " storage "):
        definition = definition.partition(word)[0]
    return definition
