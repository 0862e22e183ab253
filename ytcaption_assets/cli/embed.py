"""`ytcaption embed`: passages of transcripts that semantic search does not know yet."""

from typing import Annotated

import typer

from ytcaption_assets.cli.database import opened_database


def embed(
    limit: Annotated[
        int | None, typer.Option(min=1, help="Most transcripts; without it, all.")
    ] = None,
) -> None:
    """Embeds what is not embedded by the model that is set: docs/search.md.

    What was transcribed before semantic search was installed, and all after another model is set.
    It may be stopped at any time, and goes on where it was.
    """
    from itertools import islice

    from rich.console import Console

    from resources.embedder import embedder_of
    from resources.embedding import embed_waiting
    from resources.embedding_store import EmbeddingStore

    console = Console(stderr=True, highlight=False)
    transcripts = passages = 0
    with opened_database() as (settings, postgres):
        embedder = embedder_of(settings.embedding_model)
        with console.status("Loading the model") as status:
            waiting = embed_waiting(EmbeddingStore(postgres), embedder)
            for made in islice(waiting, limit):
                transcripts += made.passage_count is not None
                passages += made.passage_count or 0
                status.update(f"{transcripts:,} transcripts, {passages:,} passages")
    console.print(f"{transcripts:,} transcripts, {passages:,} passages embedded.")
