"""`ytcaption report`: write today's report on the library."""

import sys
from pathlib import Path
from typing import Annotated

import typer


def report(
    output: Annotated[
        Path | None, typer.Option(help="Also write it to this file.", dir_okay=False)
    ] = None,
) -> None:
    """Write today's report: growth, languages, delays, failures and the most frequent words.

    It is stored in the object store like the nightly ones; read it at
    /api/v1/admin/reports/latest.
    """
    from resources.lake.catalog import TranscriptCatalog
    from resources.object_store.store import ObjectStore
    from resources.postgres.connection import Postgres
    from resources.postgres.migrate import migrated_postgres
    from resources.reports.report import make_report, store_report
    from ytcaption.domain.errors import FileUnreadable
    from ytcaption.settings.settings import load_settings

    settings = load_settings()
    objects = ObjectStore.from_settings(settings)
    with migrated_postgres(settings):
        catalog = TranscriptCatalog.from_settings(settings)
        today = make_report(catalog, Postgres.from_settings(settings, "dagster"))
        location = objects.uri(store_report(objects, today))
    if output is not None:
        try:
            output.write_bytes(today.page)
        except OSError as error:
            raise FileUnreadable(f"{output} cannot be written: {error.strerror}.") from error
        location = str(output)
    sys.stderr.write(f"The report is in {location}\n")
