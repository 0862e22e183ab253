"""`ytcaption report`: the library in numbers and pictures, now."""

import sys
from pathlib import Path
from typing import Annotated

import typer


def report(
    output: Annotated[Path | None, typer.Option(help="A file for it, too.", dir_okay=False)] = None,
) -> None:
    """Writes today's report: growth, languages, delays, failures, what is said most.

    It is kept in the object store, as the nightly ones, and read at /api/v1/admin/reports/latest.
    """
    from resources.lake.catalog import TranscriptCatalog
    from resources.object_store.store import ObjectStore
    from resources.postgres.connection import Postgres
    from resources.postgres.migrate import migrated_postgres
    from resources.reports.report import make_report, store_report
    from ytcaption.domain.errors import FileUnreadable
    from ytcaption.settings import load_settings

    settings = load_settings()
    objects = ObjectStore.from_settings(settings)
    with migrated_postgres(settings):
        catalog = TranscriptCatalog.from_settings(settings)
        made = make_report(catalog, Postgres.from_settings(settings, "dagster"))
        place = objects.uri(store_report(objects, made))
    if output is not None:
        try:
            output.write_bytes(made.page)
        except OSError as error:
            raise FileUnreadable(f"{output} cannot be written: {error.strerror}.") from error
        place = str(output)
    sys.stderr.write(f"The report is in {place}\n")
