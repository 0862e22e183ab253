"""The command `ytcaption upgrade-database`."""

from pathlib import Path
from typing import Annotated

import typer


def upgrade_database(
    programs: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the programs (`postgres`, `pg_ctl`) of the Postgres that made the "
            "database; default: found in the installed packages.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Bring the embedded database to the Postgres of this version; stop `up` first.

    Needed once when the embedded Postgres has a new major version. The data is copied, compared,
    then put in place; the old data is kept. Exit status: 0 done or not needed, 1 failed: nothing
    has changed.
    """
    from resources.postgres.upgrade import upgrade_database as upgrade
    from ytcaption.settings.settings import load_settings
    from ytcaption_assets.cli.admin.backup import StepBars, error_console
    from ytcaption_assets.cli.up.home_lock import home_lock

    settings = load_settings()
    console = error_console()
    with home_lock(settings.home), StepBars(console) as bars:
        done = upgrade(settings, bars.step, programs)
    if done is None:
        text = "The database needs no upgrade."
    else:
        text = (
            f"Upgraded the database from Postgres {done.before} to {done.after}, "
            f"{done.rows:,} rows. The old data is kept in {done.kept}: remove that folder when "
            "everything works."
        )
    console.print(text, markup=False, soft_wrap=True)
