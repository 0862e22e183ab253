"""A clock of the database that is put forward: `now()` in all statements of a test."""

from collections.abc import Iterator
from dataclasses import dataclass

import psycopg
import pytest

from resources.postgres.connection import close_pools
from resources.postgres.database_clock import DATABASE_CLOCK
from resources.postgres.urls import database_urls
from tests.support.servers.postgres_servers import DatabaseServer
from ytcaption.settings.settings import Settings

_MAKE = """
create schema clock;
create table clock.shift (by interval not null);
insert into clock.shift values ('0 s');
create function clock.now() returns timestamptz stable language sql
    as 'select pg_catalog.now() + by from clock.shift';
grant usage on schema clock to public;
grant select on clock.shift to public;
alter database ytcaption set search_path = clock, pg_catalog;
"""
_UNMAKE = "alter database ytcaption reset search_path; drop schema clock cascade"


@dataclass(frozen=True)
class Clock:
    """Of one server."""

    server: DatabaseServer

    def forward(self, seconds: float) -> None:
        """So much later, or earlier if negative: time has passed, nobody has set the clock."""
        DATABASE_CLOCK.forget()
        with psycopg.connect(self.server.superuser_url) as connection:
            connection.execute(
                "update clock.shift set by = by + make_interval(secs => %s)", (seconds,)
            )


@pytest.fixture
def clock(database_server: DatabaseServer, settings: Settings) -> Iterator[Clock]:
    """Connections made from here on go by it. Ask for it before anything that connects."""
    with psycopg.connect(database_server.superuser_url, autocommit=True) as connection:
        connection.execute(_MAKE)
        close_pools(database_urls(settings))  # a thread of an earlier test may have opened them
        yield Clock(database_server)
        connection.execute(_UNMAKE)
        DATABASE_CLOCK.forget()
