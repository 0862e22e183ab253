"""Never run: `make lint` fails here if type checkers no longer know the attributes of resources.

Then the stub in `dagster/` does not fit the installed Dagster.
"""

# pyright: reportUnnecessaryTypeIgnoreComment=error

from resources.channels.store import ChannelStore
from resources.transcribe.transcriber import Transcriber


def misspelled(store: ChannelStore, transcriber: Transcriber) -> None:
    """Access attributes that do not exist; each must be an error."""
    _ = store.misspelled  # pyright: ignore[reportAttributeAccessIssue]
    _ = store.postgres.misspelled  # pyright: ignore[reportAttributeAccessIssue]
    _ = transcriber.misspelled  # pyright: ignore[reportAttributeAccessIssue]
