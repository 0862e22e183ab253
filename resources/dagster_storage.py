"""Dagster's storage in Postgres, on connections that are kept.

Dagster's own opens one for each statement: some fifty for a run of one asset, and each costs the
server a process.
"""

from collections.abc import Mapping
from typing import Any, Self

import sqlalchemy as db
from dagster._serdes import ConfigurableClassData
from dagster_postgres import DagsterPostgresStorage, PostgresRunStorage
from dagster_postgres.utils import create_pg_engine, pg_url_from_config, retry_pg_connection_fn

KEPT = 1
"""Connections of a process at rest. More are opened while its threads need them."""

# Dagster's own lists all tables for each of its three storages, in every process and every tick.
_HAS_TABLES = db.text(
    "select bool_and(to_regclass(name) is not null) "
    "from unnest(array['runs', 'event_logs', 'instigators', 'instance_info']) name"
)


class KeptPostgresStorage(DagsterPostgresStorage):
    """For dagster.yaml: `storage: custom`, with the same configuration as `storage: postgres`."""

    def __init__(
        self,
        postgres_url: str,
        should_autocreate_tables: bool = True,
        inst_data: ConfigurableClassData | None = None,
    ) -> None:
        super().__init__(postgres_url, should_autocreate_tables=False, inst_data=inst_data)
        self._run_storage = _RunStorage(postgres_url, should_autocreate_tables=False)
        engine = create_pg_engine(
            postgres_url,
            isolation_level="AUTOCOMMIT",
            pool_size=KEPT,
            max_overflow=-1,  # any number: nobody waits for a connection
            pool_pre_ping=True,  # those of a server that was restarted are dropped
        )
        for storage in (self._run_storage, self._event_log_storage, self._schedule_storage):
            storage._engine = engine  # as its optimize_for_webserver does
        if should_autocreate_tables and not retry_pg_connection_fn(lambda: _has_tables(engine)):
            DagsterPostgresStorage(postgres_url)  # creates them

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> Self:
        """The storage that dagster.yaml describes."""
        return cls(
            pg_url_from_config(config_value),
            config_value.get("should_autocreate_tables", True),
            inst_data,
        )


class _RunStorage(PostgresRunStorage):
    def dispose(self) -> None:
        """The instance's end: the connections are closed."""
        super().dispose()
        self._engine.dispose()


def _has_tables(engine: db.Engine) -> bool:
    with engine.connect() as connection:
        return connection.execute(_HAS_TABLES).scalar_one()
