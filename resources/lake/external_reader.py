"""Read access for other programs: a role that reads the lake's catalog, and the SQL to attach it.

A program that attaches the lake runs SQL on its own machine with its own rights; the sandbox of
`query` does not apply there. The role guarantees that the catalog cannot be changed through it.
"""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from resources.lake.storage import LakeStorage, quoted
from resources.postgres.connection import database_errors
from resources.postgres.urls import database_urls
from ytcaption.domain.errors import LakeUnavailable, SetupError
from ytcaption.settings.settings import Settings

READER = "ytcaption_lake_reader"

_MISSING_RIGHT = (
    f"The database user may not create the role {READER}. Have it created: create role {READER}; "
    f"grant {READER} to the user. Then try again."
)


def create_reader(settings: Settings) -> None:
    """Create the role, with the right to read the catalog's present and future tables only.

    Raises:
        SetupError: the database user may not create it.
        LakeUnavailable: there is no lake yet.
        DatabaseUnavailable.
    """
    urls = database_urls(settings)
    is_embedded = (
        settings.storage.database_url is None and settings.storage.lake_database_url is None
    )
    with database_errors():
        url = urls.admin if settings.storage.lake_database_url is None else urls.lake
        with psycopg.connect(url, connect_timeout=10) as connection:
            try:
                _create_role(connection, can_login=is_embedded)
                _grant_rights(connection)
            except psycopg.errors.InsufficientPrivilege as error:
                raise SetupError(_MISSING_RIGHT) from error


def _create_role(connection: psycopg.Connection[Any], *, can_login: bool) -> None:
    name = sql.Identifier(READER)
    exists = connection.execute("select 1 from pg_roles where rolname = %s", (READER,)).fetchone()
    if exists is None:
        login = sql.SQL("login" if can_login else "nologin")
        connection.execute(sql.SQL("create role {} {}").format(name, login))
    membership = connection.execute(
        "select pg_has_role(current_user, %s, 'member')", (READER,)
    ).fetchone()
    if membership is not None and not membership[0]:
        connection.execute(sql.SQL("grant {} to current_user").format(name))


def _grant_rights(connection: psycopg.Connection[Any]) -> None:
    row = connection.execute(
        "select pg_get_userbyid(n.nspowner), pg_get_userbyid(c.relowner) "
        "from pg_namespace n join pg_class c on c.relnamespace = n.oid "
        "where n.nspname = 'lake' and c.relname = 'ducklake_table'"
    ).fetchone()
    if row is None:
        raise LakeUnavailable("There is no lake yet. Transcribe something first.")
    name, database = sql.Identifier(READER), sql.Identifier(connection.info.dbname)
    connection.execute(sql.SQL("grant connect on database {} to {}").format(database, name))
    connection.execute(sql.SQL("grant usage on schema lake to {}").format(name))
    connection.execute(sql.SQL("grant select on all tables in schema lake to {}").format(name))
    for owner in {*row}:
        # DuckLake creates tables later, too.
        connection.execute(
            sql.SQL(
                "alter default privileges for role {} in schema lake grant select on tables to {}"
            ).format(sql.Identifier(owner), name)
        )


def attach_statements(settings: Settings) -> Sequence[str]:
    """Return the SQL that attaches the lake in a `duckdb` shell, read-only, without a password."""
    storage = LakeStorage.of(settings)
    catalog = make_conninfo("", **_catalog(settings))
    options = ["read_only", f"data_path {quoted(storage.data_path)}", "override_data_path true"]
    options.append("meta_schema 'lake'")
    statements = ["install ducklake", "install postgres"]
    if not storage.is_local:
        statements += ["install httpfs", "install aws", _bucket_secret(storage)]
    attach = f"attach {quoted('ducklake:postgres:' + catalog)} as lake ({', '.join(options)})"
    return [*statements, attach, "use lake"]


def _catalog(settings: Settings) -> dict[str, Any]:
    """Return libpq's parameters: the reader's, or our own user's in the reader's role."""
    parameters = dict(conninfo_to_dict(database_urls(settings).lake))
    parameters.pop("password", None)
    if settings.storage.database_url is None and settings.storage.lake_database_url is None:
        return parameters | {"user": READER}
    return parameters | {"options": f"{parameters.get('options') or ''} -c role={READER}".strip()}


def _bucket_secret(storage: LakeStorage) -> str:
    endpoint = urlsplit(storage.endpoint_url or "")
    options = [f"region {quoted(storage.region)}", f"scope {quoted(storage.data_path)}"]
    if endpoint.netloc:
        options += [f"endpoint {quoted(endpoint.netloc + endpoint.path)}", "url_style 'path'"]
        options += [f"use_ssl {str(endpoint.scheme == 'https').lower()}"]
    option_list = ", ".join(options)
    return f"create secret lake_files (type s3, provider credential_chain, {option_list})"
