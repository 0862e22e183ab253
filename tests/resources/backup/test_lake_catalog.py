"""A catalog of the lake is used only if ytcaption could have written it."""

import psycopg
import pytest
from psycopg.rows import dict_row

from resources.backup.lake_catalog import catalog_problem, catalog_version
from resources.postgres.urls import database_urls
from tests.ytcaption_assets.cli.admin.test_backup import Writer
from ytcaption.settings.settings import Settings

_VIEW = """
insert into lake.ducklake_view select 1000, gen_random_uuid(), 0, null, 0, 'segments', 'duckdb',
    'select * from postgres_execute(1)', null
"""


@pytest.mark.long
def test_a_catalog_with_sql_or_other_files_is_not_used(settings: Settings):
    """Neither views, macros and expressions, nor files elsewhere, nor another version."""
    Writer(settings).complete(1)
    url = database_urls(settings).lake
    with psycopg.connect(url, autocommit=True, row_factory=dict_row) as connection:
        version = catalog_version(connection)
        assert version is not None and catalog_problem(connection, version) is None
        for statement in (
            _VIEW,
            "insert into lake.ducklake_macro select 0, 1000, 'now', 0, null",
            "update lake.ducklake_data_file set path = '/etc/passwd', path_is_relative = false",
            "update lake.ducklake_data_file set path = '../../audio/x.parquet'",
            "update lake.ducklake_data_file set file_format = 'csv'",
            "update lake.ducklake_schema set path = '../'",
            "update lake.ducklake_table set path = '/etc/'",
            "update lake.ducklake_table set table_name = 'other' where table_name = 'media'",
            "update lake.ducklake_column set default_value = 'getenv()' where column_id = 1",
            "update lake.ducklake_column set initial_default = 'x' where column_id = 1",
            "update lake.ducklake_column set column_type = 'varchar); drop' where column_id = 1",
            "update lake.ducklake_sort_expression set expression = 'postgres_execute(1)'",
            "update lake.ducklake_partition_column set transform = 'bucket(1)'",
            "update lake.ducklake_metadata set value = 'true' where key = 'encrypted'",
            "update lake.ducklake_metadata set value = '0.1' where key = 'version'",
        ):
            with connection.transaction(force_rollback=True):
                connection.execute(statement)  # pyright: ignore
                assert catalog_problem(connection, version) is not None, statement
        assert catalog_problem(connection, version) is None
