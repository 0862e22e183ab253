"""`ytcaption transcribe --server`: transcribe on a server; nothing is started on this machine."""

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
from ytcaption.settings.settings import Settings
from ytcaption_assets.cli.progress import Bars
from ytcaption_assets.cli.transcribe.captions_folder import write_captions
from ytcaption_assets.cli.transcribe.output import (
    SourceResult,
    print_failure,
    print_transcript,
)
from ytcaption_assets.cli.transcribe.source_argument import SAMPLE, file_named

EXIT_INTERRUPTED = 130

WATCHED_AT_ONCE = 8
"""Event streams open at a time; other transcriptions run at the server but are watched later."""

_POLL_S = 0.5


FinalState = Transcription | ApiError
"""A final state, or the error that ended watching: it was erased, or the key was revoked."""


@dataclass(frozen=True)
class _BarState:
    """State of a transcription in the form that the progress bars take."""

    id: str
    status: TranscriptionStatus
    stage: str | None
    try_number: int
    progress_done: float | None
    progress_total: float | None


def transcribe_at_server(
    server: str,
    names: Sequence[str],
    request: RequestOptions,
    formats: Sequence[CaptionFormat],
    directory: Path,
    *,
    settings: Settings,
    force: bool,
) -> int:
    """Write the captions of every source; return 0, or 1 if some failed, each with its reason.

    Ctrl-C only ends the waiting: the server continues, and the same command reads its result.

    Raises:
        InvalidUrl: `server` is not a URL.
        ServerUnreachable, UnexpectedAnswer: no ytcaption server answers there.
    """
    console = Console(stderr=True, highlight=False)
    key = settings.api_key.get_secret_value() if settings.api_key else None
    with Client(server, key) as client:
        results: list[SourceResult] = []
        states: dict[str, FinalState] = {}
        try:
            with Bars(console) as bars:
                for name in names or [str(SAMPLE)]:
                    # One by one, so that Ctrl-C prints those submitted so far.
                    results.append(_submit(client, name, request, bars, force=force))  # noqa: PERF401
                ids = list(dict.fromkeys(each.id for each in results if each.id))
                states = _watch(client, ids, bars)
        except KeyboardInterrupt:
            _print_where_to_look(results, server, console)
            return EXIT_INTERRUPTED
        for each in results:
            _write_result(client, each, states, formats, directory, settings, console)
    return 1 if any(each.error for each in results) else 0


def _submit(
    client: Client, name: str, request: RequestOptions, bars: Bars, *, force: bool
) -> SourceResult:
    try:
        with bars.uploading(name) as on_progress:
            source = file_named(name) or name
            accepted = client.submit(source, on_progress=on_progress, **request)
        if not is_partition_key(accepted.id):
            raise UnexpectedAnswer("The server's answer has no id. Check the server's address.")
        if force and accepted.status is TranscriptionStatus.COMPLETED:
            client.retry(accepted.id, force=True)
    except (ServerUnreachable, UnexpectedAnswer):
        raise  # the next source would fail, too
    except YtcaptionError as error:
        return SourceResult(name, error=error.message)
    is_completed = accepted.status is TranscriptionStatus.COMPLETED
    return SourceResult(name, id=accepted.id, is_from_store=is_completed and not force)


def _watch(client: Client, ids: Sequence[str], bars: Bars) -> dict[str, FinalState]:
    """Show each transcription until it has ended or the server refuses to report on it.

    Raises:
        ServerUnreachable, UnexpectedAnswer: the server does not answer any more.
    """
    updates: queue.Queue[tuple[str, Transcription | Exception]] = queue.Queue()
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
                client.wait(id, on_change=lambda now, id=id: updates.put((id, now)))
            except Exception as error:  # raised in the main thread below
                updates.put((id, error))

    for n in range(min(len(ids), WATCHED_AT_ONCE)):
        threading.Thread(target=watch, name=f"watch-{n}", daemon=True).start()
    states: dict[str, FinalState] = {}
    while len(states) < len(ids):
        try:
            id, now = updates.get(timeout=_POLL_S)  # without a timeout Ctrl-C would not interrupt
        except queue.Empty:
            continue
        if isinstance(now, ApiError):
            states[id] = now
        elif isinstance(now, Exception):
            raise now
        else:
            reason = now.waiting_for
            bars.show(_bar_state(now), now.media.name, reason.message if reason else None)
            if now.status.is_final:
                states[id] = now
    return states


def _bar_state(now: Transcription) -> _BarState:
    progress = now.progress
    return _BarState(
        now.id,
        now.status,
        now.stage,
        now.attempt,
        progress.done if progress else None,
        progress.total if progress else None,
    )


def _write_result(
    client: Client,
    result: SourceResult,
    states: dict[str, FinalState],
    formats: Sequence[CaptionFormat],
    directory: Path,
    settings: Settings,
    console: Console,
) -> None:
    if result.id is not None:
        now = states[result.id]
        try:
            if isinstance(now, ApiError):
                raise now
            if now.status is TranscriptionStatus.COMPLETED:
                transcript = _transcript(client, result.id)
                style = settings.caption_style(transcript.text_language)
                result.files = write_captions(transcript, now.media.name, formats, directory, style)
                print_transcript(result, transcript, now.media.name, console)
            else:
                result.error = now.error.message if now.error else f"It was {now.status.value}."
        except YtcaptionError as error:
            result.error = error.message
    if result.error is not None:
        print_failure(result, console)


def _transcript(client: Client, id: str) -> Transcript:
    """Return the transcript; check its media id, which becomes part of a file name."""
    try:
        transcript = client.transcript(id)
    except (ValueError, KeyError, TypeError):
        raise UnexpectedAnswer("The server's transcript cannot be read.") from None
    if transcript.media_id != id.rpartition(".")[0]:
        raise UnexpectedAnswer("The server returned another transcript than the requested one.")
    return transcript


def _print_where_to_look(results: Sequence[SourceResult], server: str, console: Console) -> None:
    ids = [each.id for each in results if each.id]
    if not ids:
        console.print("ytcaption: stopped before anything was submitted.", soft_wrap=True)
        return
    console.print(
        "ytcaption: stopped waiting; the server continues. Run the same command again for the "
        "result, or read:",
        soft_wrap=True,
    )
    for id in ids:
        console.print(
            f"  {escape(server.rstrip('/'))}/api/v1/transcriptions/{escape(id)}", soft_wrap=True
        )
