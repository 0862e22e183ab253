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

    `ytcaption up` does so by itself, bit by bit: this does it now, and tries again what could not
    be embedded. It may be stopped at any time, and goes on where it was.
    """
    from itertools import islice

    from rich.console import Console

    from resources.embeddings.backlog import embed_waiting
    from resources.embeddings.store import EmbeddingStore
    from resources.worker.embedder import warm_embedder_of

    console = Console(stderr=True, highlight=False)
    transcripts = passages = failed = 0
    with opened_database() as (settings, postgres):
        embedder = warm_embedder_of(settings)
        with console.status("Loading the model") as status:
            waiting = embed_waiting(EmbeddingStore(postgres), embedder, again=True)
            for made in islice(waiting, limit):
                transcripts += made.passage_count is not None
                passages += made.passage_count or 0
                if made.problem is not None:
                    failed += 1
                    console.print(f"{made.transcription_id}: {made.problem}", markup=False)
                status.update(f"{transcripts:,} transcripts, {passages:,} passages")
    console.print(f"{transcripts:,} transcripts, {passages:,} passages embedded.")
    if failed:
        console.print(f"{failed:,} could not be embedded.")
        raise typer.Exit(1)
