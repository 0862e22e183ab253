"""URLs of the databases for each part of the system, computed from the settings alone."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlencode

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict

from ytcaption.domain.errors import SetupError
from ytcaption.settings.settings import Settings

DATABASE = "ytcaption"
DAGSTER_DATABASE = "dagster"
ROLES = {"api": "ytcaption_api", "dagster": "ytcaption_dagster", "lake": "ytcaption_lake"}
SUPERUSER = "postgres"
PORT = "5432"  # in the socket's name; stated everywhere, since libpq reads PGPORT

SOCKET_NAME = f".s.PGSQL.{PORT}"
_MAX_SOCKET_PATH = 103  # macOS; Linux allows 107


@dataclass(frozen=True)
class DatabaseUrls:
    """URLs for libpq, with passwords: never logged, never in run config.

    Attributes:
        admin: of the owner of everything; only for `migrate`.
        api, dagster, lake: with the rights of that part.
        dagster_storage: for SQLAlchemy in dagster-postgres. It names psycopg2: with SQLAlchemy 2.1
            a bare `postgresql://` selects psycopg 3, and every Dagster run stays NOT_STARTED.
    """

    admin: str
    api: str
    dagster: str
    lake: str
    dagster_storage: str


def postgres_folder(settings: Settings) -> Path:
    """Return the folder of all files of the embedded server."""
    return settings.home / "postgres"


def socket_folder(settings: Settings) -> Path:
    """Return the folder of the embedded server's socket.

    It is under the home; if that path cannot be a socket's, in this user's own folder below /tmp,
    named after the home.
    """
    folder = postgres_folder(settings) / "run"
    # libpq reads a comma as the end of a host.
    if len(os.fsencode(folder / SOCKET_NAME)) <= _MAX_SOCKET_PATH and "," not in str(folder):
        return folder
    digest = hashlib.sha256(os.fsencode(settings.home)).hexdigest()[:16]
    # /tmp by name: TMPDIR may differ between two processes of one installation.
    return Path("/tmp") / f"ytcaption-{os.geteuid()}-{digest}" / "run"  # noqa: S108


def database_urls(settings: Settings) -> DatabaseUrls:
    """Return the URLs of the embedded server, or of the one that the settings name.

    Raises:
        SetupError: a URL in the settings cannot be parsed.
    """
    if settings.storage.database_url is None:
        host = {"host": str(socket_folder(settings)), "port": PORT}
        admin = {**host, "user": SUPERUSER, "dbname": DATABASE}
        by_role = {part: {**admin, "user": role} for part, role in ROLES.items()}
        storage = {**by_role["dagster"], "dbname": DAGSTER_DATABASE}
    else:
        admin = _parsed(settings.storage.database_url.get_secret_value(), "DATABASE_URL")
        by_role = dict.fromkeys(ROLES, admin)
        storage = {**admin, "dbname": DAGSTER_DATABASE}
    if settings.storage.dagster_database_url is not None:
        storage = _parsed(
            settings.storage.dagster_database_url.get_secret_value(), "DAGSTER_DATABASE_URL"
        )
    if settings.storage.lake_database_url is not None:
        by_role["lake"] = _parsed(
            settings.storage.lake_database_url.get_secret_value(), "LAKE_DATABASE_URL"
        )
    return DatabaseUrls(
        admin=_url(admin),
        api=_url(by_role["api"]),
        dagster=_url(by_role["dagster"]),
        lake=_url(by_role["lake"]),
        dagster_storage=_url(storage, scheme="postgresql+psycopg2"),
    )


def with_database(url: str, database: str) -> str:
    """Return the URL with another database on the same server."""
    return _url({**_parameters(url), "dbname": database})


def database_name(url: str) -> str:
    """Return the name of the URL's database; libpq's default is the user's name."""
    parameters = _parameters(url)
    return parameters.get("dbname") or parameters.get("user") or DATABASE


def libpq_url(url: str) -> str:
    """Return a SQLAlchemy URL in the form for libpq."""
    return url.replace("postgresql+psycopg2://", "postgresql://", 1)


def _parsed(text: str, name: str) -> dict[str, str]:
    for scheme in ("postgresql+psycopg2://", "postgresql+psycopg://"):
        text = text.replace(scheme, "postgresql://", 1) if text.startswith(scheme) else text
    try:
        return {"dbname": DATABASE, **_parameters(text)}
    except ProgrammingError:
        # `from None`: libpq's message quotes the URL with its password.
        raise SetupError(
            f"YTCAPTION_{name} cannot be parsed. Write "
            "postgresql://user:password@host:5432/database, with special characters of the "
            "password percent-encoded."
        ) from None


def _parameters(url: str) -> dict[str, str]:
    return {name: str(value) for name, value in conninfo_to_dict(url).items() if value}


def _url(parameters: dict[str, str], scheme: str = "postgresql") -> str:
    options = dict(parameters)
    user, password = options.pop("user", ""), options.pop("password", "")
    host, port, dbname = (options.pop(name, "") for name in ("host", "port", "dbname"))
    login = quote(user, safe="") + (f":{quote(password, safe='')}" if password else "")
    if "/" in host or "," in host or "," in port:  # a socket folder, or several hosts
        options = {"host": host, **({"port": port} if port else {}), **options}
        address = ""
    else:
        address = (f"[{host}]" if ":" in host else host) + (f":{port}" if port else "")
    query = f"?{urlencode(options, quote_via=quote, safe='/')}" if options else ""
    return f"{scheme}://{f'{login}@' if login else ''}{address}/{quote(dbname, safe='')}{query}"
