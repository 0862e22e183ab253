"""`ytcaption transcribe --server`: the same, made by a server; nothing is started here."""

import queue
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from ytcaption.client.client import Client
from ytcaption.client.errors import ApiError, ServerUnreachable, UnexpectedAnswer
from ytcaption.client.models import Transcription
from ytcaption.client.options import RequestOptions
from ytcaption.domain.captions.formats import CaptionFormat
from ytcaption.domain.errors import YtcaptionError
from ytcaption.domain.request import TranscriptionStatus, is_partition_key
from ytcaption.domain.transcripts.transcript import Transcript
from ytcaption.settings import Settings
from ytcaption_assets.cli.progress import Bars
from ytcaption_assets.cli.transcribe.captions_folder import write_captions
from ytcaption_assets.cli.transcribe.output import Asked as Source
from ytcaption_assets.cli.transcribe.output import print_failure, print_transcript
from ytcaption_assets.cli.transcribe.source_argument import SAMPLE, file_named

EXIT_INTERRUPTED = 130

WATCHED_AT_ONCE = 8
"""Streams of events that are open; the others wait for their turn, at the server they run."""

_LOOK_S = 0.5


Ended = Transcription | ApiError
"""How it ended, or why the server no longer tells of it: it was erased, the key was revoked."""


@dataclass(frozen=True)
class _Shown:
    """An answer as the bars want it."""

    id: str
    status: TranscriptionStatus
    stage: str | None
    try_number: int
    progress_done: float | None
    progress_total: float | None


def transcribe_at_server(
    server: str,
    names: Sequence[str],
    asked: RequestOptions,
    formats: Sequence[CaptionFormat],
    directory: Path,
    *,
    settings: Settings,
    force: bool,
) -> int:
    """Captions of every source; 0, or 1 where some failed, each with its reason.

    Ctrl-C ends the waiting alone: the server goes on, and gives its answer to who asks again.

    Raises:
        InvalidUrl: `server` is no address.
        ServerUnreachable, UnexpectedAnswer: no ytcaption answers there.
    """
    console = Console(stderr=True, highlight=False)
    key = settings.api_key.get_secret_value() if settings.api_key else None
    with Client(server, key) as client:
        sources: list[Source] = []
        ended: dict[str, Ended] = {}
        try:
            with Bars(console) as bars:
                for name in names or [str(SAMPLE)]:
                    # One by one: Ctrl-C must find those before it.
                    sources.append(_submitted(client, name, asked, bars, force=force))  # noqa: PERF401
                ids = list(dict.fromkeys(each.id for each in sources if each.id))
                ended = _watched(client, ids, bars)
        except KeyboardInterrupt:
            _say_how_to_look_again(sources, server, console)
            return EXIT_INTERRUPTED
        for each in sources:
            _answer(client, each, ended, formats, directory, settings, console)
    return 1 if any(each.error for each in sources) else 0


def _submitted(
    client: Client, name: str, asked: RequestOptions, bars: Bars, *, force: bool
) -> Source:
    try:
        with bars.sending(name) as on_progress:
            source = file_named(name) or name
            accepted = client.submit(source, on_progress=on_progress, **asked)
        if not is_partition_key(accepted.id):
            raise UnexpectedAnswer("The server's answer has no id. Check the server's address.")
        if force and accepted.status is TranscriptionStatus.COMPLETED:
            client.retry(accepted.id, force=True)
    except (ServerUnreachable, UnexpectedAnswer):
        raise  # for the next source it is no better
    except YtcaptionError as error:
        return Source(name, error=error.message)
    done = accepted.status is TranscriptionStatus.COMPLETED
    return Source(name, id=accepted.id, answered_from_store=done and not force)


def _watched(client: Client, ids: Sequence[str], bars: Bars) -> dict[str, Ended]:
    """Shows each until it is over, or until the server no longer tells of it.

    Raises:
        ServerUnreachable, UnexpectedAnswer: the server is gone.
    """
    seen: queue.Queue[tuple[str, Transcription | Exception]] = queue.Queue()
    waiting: queue.Queue[str] = queue.Queue()
    for id in ids:
        waiting.put(id)

    def watch() -> None:
        while True:
            try:
                id = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                client.wait(id, on_change=lambda now, id=id: seen.put((id, now)))
            except Exception as error:  # handed to the one who waits below
                seen.put((id, error))

    for n in range(min(len(ids), WATCHED_AT_ONCE)):
        threading.Thread(target=watch, name=f"watch-{n}", daemon=True).start()
    ended: dict[str, Ended] = {}
    while len(ended) < len(ids):
        try:
            id, now = seen.get(timeout=_LOOK_S)  # with a timeout Ctrl-C gets through
        except queue.Empty:
            continue
        if isinstance(now, ApiError):
            ended[id] = now
        elif isinstance(now, Exception):
            raise now
        else:
            why = now.waiting_for
            bars.show(_shown(now), now.media.name, why.message if why else None)
            if now.status.is_final:
                ended[id] = now
    return ended


def _shown(now: Transcription) -> _Shown:
    progress = now.progress
    return _Shown(
        now.id,
        now.status,
        now.stage,
        now.attempt,
        progress.done if progress else None,
        progress.total if progress else None,
    )


def _answer(
    client: Client,
    source: Source,
    ended: dict[str, Ended],
    formats: Sequence[CaptionFormat],
    directory: Path,
    settings: Settings,
    console: Console,
) -> None:
    if source.id is not None:
        now = ended[source.id]
        try:
            if isinstance(now, ApiError):
                raise now
            if now.status is TranscriptionStatus.COMPLETED:
                transcript = _transcript(client, source.id)
                style = settings.caption_style(transcript.text_language)
                source.files = write_captions(transcript, now.media.name, formats, directory, style)
                print_transcript(source, transcript, now.media.name, console)
            else:
                source.error = now.error.message if now.error else f"It was {now.status.value}."
        except YtcaptionError as error:
            source.error = error.message
    if source.error is not None:
        print_failure(source, console)


def _transcript(client: Client, id: str) -> Transcript:
    """The document that was asked for: its media's id becomes part of a file's name."""
    try:
        transcript = client.transcript(id)
    except (ValueError, KeyError, TypeError):
        raise UnexpectedAnswer("The server's transcript cannot be read.") from None
    if transcript.media_id != id.rpartition(".")[0]:
        raise UnexpectedAnswer("The server's transcript is another one than was asked for.")
    return transcript


def _say_how_to_look_again(sources: Sequence[Source], server: str, console: Console) -> None:
    ids = [each.id for each in sources if each.id]
    if not ids:
        console.print("ytcaption: stopped. The server was asked for nothing.", soft_wrap=True)
        return
    console.print(
        "ytcaption: stopped waiting; the server goes on. The same command gives its answer, and so "
        "do:",
        soft_wrap=True,
    )
    for id in ids:
        console.print(
            f"  {escape(server.rstrip('/'))}/api/v1/transcriptions/{escape(id)}", soft_wrap=True
        )
