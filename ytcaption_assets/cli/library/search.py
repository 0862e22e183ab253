"""`ytcaption search`: full-text and semantic search in all transcripts."""

import json
import sys
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal, cast

import typer

from ytcaption.domain.errors import InvalidOption
from ytcaption.domain.languages import WHISPER_LANGUAGES
from ytcaption.domain.media.deep_links import link_at
from ytcaption_assets.cli.database import opened_database
from ytcaption_assets.cli.terminal_text import printable

if TYPE_CHECKING:
    from rich.text import Text

    from resources.search.results import MediaResult, SearchResults, ShownSegment

EXIT_NOTHING = 1
_DAY = ["%Y-%m-%d"]
_SOURCES = ("asr", "manual_captions", "automatic_captions")
_MODES = ("keyword", "semantic", "hybrid")
_ORDERS = ("relevance", "recency", "time")


def search(
    words: Annotated[
        list[str],
        typer.Argument(
            help='Words; also "an exact phrase", one OR other, -without (after --), prefix*.'
        ),
    ],
    channel: Annotated[str | None, typer.Option(help="Id or full name of a channel.")] = None,
    media: Annotated[str | None, typer.Option(help="Id of one media item.")] = None,
    language: Annotated[
        str | None, typer.Option(help="Language of the text, such as en or German.")
    ] = None,
    published_from: Annotated[
        datetime | None,
        typer.Option("--from", formats=_DAY, help="Published on this day or later."),
    ] = None,
    published_to: Annotated[
        datetime | None,
        typer.Option("--to", formats=_DAY, help="Published on this day or earlier."),
    ] = None,
    source: Annotated[
        list[str] | None,
        typer.Option(help="asr, manual_captions or automatic_captions; can be repeated."),
    ] = None,
    mode: Annotated[
        str, typer.Option(help="keyword, semantic (by meaning) or hybrid (both).")
    ] = "keyword",
    sort: Annotated[
        str, typer.Option(help="relevance, recency (newest first) or time (oldest first).")
    ] = "relevance",
    limit: Annotated[int, typer.Option(min=1, max=1_000, help="Media items shown.")] = 10,
    hits: Annotated[int, typer.Option(min=1, max=100, help="Hits shown per media item.")] = 3,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one line of JSON per media item.")
    ] = False,
) -> None:
    """Search the text of all transcripts of this installation (docs/reference/search.md).

    Exit status: 0 there are results, 1 there are none, 2 the query is invalid.
    """
    from resources.search.scope import SearchFilter, Source
    from resources.search.service import Search
    from resources.worker.embedder import warm_embedder_of

    if unknown := [kind for kind in source or () if kind not in _SOURCES]:
        raise InvalidOption(f"Unknown source: {unknown[0]}. Use one of {', '.join(_SOURCES)}.")
    if sort not in _ORDERS:
        raise InvalidOption(f"Unknown order: {sort}. Use one of {', '.join(_ORDERS)}.")
    if mode not in _MODES:
        raise InvalidOption(f"Unknown mode: {mode}. Use one of {', '.join(_MODES)}.")
    code = language.strip().lower() if language else None
    wanted = SearchFilter(
        channel=channel,
        media_id=media,
        language=code and WHISPER_LANGUAGES.get(code, code),
        published_from=published_from and published_from.date(),
        published_to=published_to and published_to.date(),
        sources=tuple(cast(list[Source], source or ())),
    )
    with opened_database() as (settings, postgres):
        page = Search(postgres, warm_embedder_of(settings)).page(
            " ".join(words),
            filter=wanted,
            mode=cast(Literal["keyword", "semantic", "hybrid"], mode),
            order=cast(Literal["relevance", "recency", "time"], sort),
            limit=limit,
            segments=hits,
        )
    if as_json:
        for result in page.items:
            sys.stdout.write(json.dumps(_document(result), ensure_ascii=False) + "\n")
    else:
        _print(page)
    if not page.items:
        raise typer.Exit(EXIT_NOTHING)


def _print(page: "SearchResults") -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    for found in page.items:
        media = found.media
        title = Text(printable(media.name), style="bold")
        if media.source.url is not None and found.segments:
            at = link_at(media.source, found.segments[0].segment.start_s)
            title.stylize(f"link {at}")
        facts = [media.info.channel, found.published_on, found.language, _hits(found.hit_count)]
        console.print(title)
        console.print(
            Text("  " + " · ".join(printable(fact) for fact in facts if fact), style="dim")
        )
        for segment in found.segments:
            console.print(_line(found, segment.segment))
        console.print()
    stderr = Console(stderr=True, highlight=False)
    more = "" if page.is_complete else "more than "
    items = f"{page.media_count:,} media item{'' if page.media_count == 1 else 's'}"
    stderr.print(f"{more}{_hits(page.hit_count)} in {items}", markup=False, style="dim")
    for note in page.notes:
        stderr.print(printable(note), markup=False)


def _line(found: "MediaResult", spoken: "ShownSegment") -> "Text":
    """Return the time, as a link where the terminal supports links, and the highlighted text."""
    from rich.text import Text

    from ytcaption_assets.cli.progress import clock

    at = link_at(found.media.source, spoken.start_s)
    line = Text(f"  {clock(int(spoken.start_s)):>8}", style=f"cyan link {at}" if at else "cyan")
    text = Text(printable(spoken.text))
    for start, end in spoken.marks:
        text.stylize("bold yellow", start, end)
    return Text.assemble(line, "  ", text)


def _hits(count: int) -> str:
    return f"{count:,} hit" + ("s" if count != 1 else "")


def _document(found: "MediaResult") -> dict[str, object]:
    return {
        "transcription_id": found.transcription_id,
        "media_id": found.media.source.media_id,
        "title": found.media.title,
        "channel": found.media.info.channel,
        "published_on": found.published_on,
        "language": found.language,
        "score": found.score,
        "hit_count": found.hit_count,
        "hits": [
            {
                "start_s": segment.segment.start_s,
                "end_s": segment.segment.end_s,
                "text": segment.segment.text,
                "url": link_at(found.media.source, segment.segment.start_s),
            }
            for segment in found.segments
        ],
    }
