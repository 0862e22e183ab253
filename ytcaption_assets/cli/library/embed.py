"""`ytcaption embed`: embed transcripts that semantic search cannot find yet."""

from typing import Annotated

import typer

from ytcaption_assets.cli.database import opened_database
from ytcaption_assets.cli.terminal_text import printable


def embed(
    limit: Annotated[
        int | None, typer.Option(min=1, help="Transcripts at most; default: all.")
    ] = None,
) -> None:
    """Embed all transcripts that the configured model has not embedded yet.

    `ytcaption up` does this in the background; this command does it now and retries transcripts
    that failed. It can be stopped at any time and continues where it stopped.
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
            for result in islice(waiting, limit):
                transcripts += result.passage_count is not None
                passages += result.passage_count or 0
                if result.problem is not None:
                    failed += 1
                    console.print(
                        f"{result.transcription_id}: {printable(result.problem)}", markup=False
                    )
                status.update(f"{transcripts:,} transcripts, {passages:,} passages")
    console.print(f"{transcripts:,} transcripts, {passages:,} passages embedded.")
    if failed:
        console.print(f"{failed:,} could not be embedded.")
        raise typer.Exit(1)
