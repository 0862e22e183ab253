"""`ytcaption transcribe` on this machine: sources in, caption files out, with progress bars."""

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from rich.console import Console

from resources.models.store import ensure_model
from resources.object_store.store import ObjectStore
from resources.orchestration.pauses import paused_parts
from resources.postgres.migrate import migrated_postgres
from resources.sites.wait_reasons import Waiting, waiting_for
from resources.transcriptions.reads import get_media, get_transcription, get_transcriptions
from resources.transcriptions.rows import TranscriptionRow
from resources.transcriptions.store import RequestStore
from ytcaption.domain.captions.formats import CaptionFormat
from ytcaption.domain.errors import YtcaptionError
from ytcaption.domain.request import TranscriptionOptions, TranscriptionStatus
from ytcaption.domain.transcripts.transcript import Transcript
from ytcaption.settings.settings import Settings
from ytcaption_assets.cli.database import settle_restore
from ytcaption_assets.cli.progress import Bars
from ytcaption_assets.cli.transcribe.captions_folder import write_captions
from ytcaption_assets.cli.transcribe.output import (
    SourceResult,
    print_failure,
    print_transcript,
)
from ytcaption_assets.cli.transcribe.run_process_client import TranscriptionProcess
from ytcaption_assets.cli.transcribe.source import source_named
from ytcaption_assets.cli.transcribe.source_argument import SAMPLE
from ytcaption_assets.cli.up.home_lock import is_up

_POLL_S = 0.2


def transcribe_sources(
    names: Sequence[str],
    options: TranscriptionOptions,
    formats: Sequence[CaptionFormat],
    directory: Path,
    *,
    settings: Settings,
    force: bool,
) -> int:
    """Write the captions of every source; return 0, or 1 if some failed, each with its reason.

    Raises:
        YtcaptionError: nothing could be done at all, for lack of a home, a database or a model.
    """
    console = Console(stderr=True, highlight=False)
    with _prepared(settings, console), Bars(console) as bars:
        store = RequestStore.from_settings(settings, role="api")
        object_store = ObjectStore.from_settings(settings)
        results = [
            _submit(name, options, settings, store, object_store, bars, force=force)
            for name in names or [str(SAMPLE)]
        ]
        waiting = {each.id for each in results if each.id and not each.is_from_store}
        if waiting:
            for part in sorted(paused_parts(store.postgres) - {"intake"}):
                console.print(f"An operator has paused {part}: `ytcaption admin resume {part}`.")
            _complete(sorted(waiting), options.model, settings, store, bars)
        bars.stop()
        for each in results:
            _write_result(each, formats, directory, settings, store, object_store, console)
    return 1 if any(each.error for each in results) else 0


@contextmanager
def _prepared(settings: Settings, console: Console) -> Iterator[None]:
    settle_restore(settings)
    with ExitStack() as stack:
        with console.status("Starting the database"):
            stack.enter_context(migrated_postgres(settings))
        yield


def _submit(
    name: str,
    options: TranscriptionOptions,
    settings: Settings,
    store: RequestStore,
    object_store: ObjectStore,
    bars: Bars,
    *,
    force: bool,
) -> SourceResult:
    try:
        with bars.reading(name) as on_progress:
            source = source_named(name, settings, object_store, on_progress)
        row = store.submit(source, options, force=force).transcription
    except YtcaptionError as error:
        return SourceResult(name, error=error.message)
    is_completed = row.status is TranscriptionStatus.COMPLETED
    return SourceResult(name, id=row.id, is_from_store=is_completed)


def _complete(
    ids: Sequence[str], model: str, settings: Settings, store: RequestStore, bars: Bars
) -> None:
    """Wait until each has ended; start a process for them unless `ytcaption up` runs."""
    try:
        if is_up(settings):
            _watch(ids, store, bars, process=None)
            return
        with bars.downloading(f"model {model}") as on_progress:
            ensure_model(model, settings.models_home, on_progress, settings.speech.pip_index_url)
        with TranscriptionProcess(ids, settings) as process:
            _watch(ids, store, bars, process)
    except BaseException:
        for key in ids:
            store.cancel(key)
        raise


def _watch(
    ids: Sequence[str], store: RequestStore, bars: Bars, process: TranscriptionProcess | None
) -> None:
    titles: dict[str, str] = {}
    while True:
        rows = list(get_transcriptions(store.postgres, ids).values())
        waiting: dict[str, Waiting] = {}
        if any(row.status is TranscriptionStatus.QUEUED for row in rows):
            waiting = waiting_for(store.postgres, ids)
        for row in rows:
            if row.id not in titles or row.stage == "transcription":
                titles[row.id] = get_media(store.postgres, row.media_id).name
            reason = waiting.get(row.id)
            bars.show(row, titles[row.id], reason.message if reason else None)
        if all(row.status.is_final for row in rows):
            return
        if process is not None:
            process.check()
        time.sleep(_POLL_S)


def _write_result(
    result: SourceResult,
    formats: Sequence[CaptionFormat],
    directory: Path,
    settings: Settings,
    store: RequestStore,
    object_store: ObjectStore,
    console: Console,
) -> None:
    """Print the transcript to standard output, everything else to standard error."""
    if result.id is not None and result.error is None:
        try:
            row = get_transcription(store.postgres, result.id)
            if row.status is TranscriptionStatus.COMPLETED:
                transcript = _document(row, object_store)
                style = settings.caption_style(transcript.text_language)
                title = get_media(store.postgres, row.media_id).name
                result.files = write_captions(transcript, title, formats, directory, style)
                print_transcript(result, transcript, title, console)
            else:
                result.error = row.error_message or f"It was {row.status.value}."
        except YtcaptionError as error:
            result.error = error.message
    if result.error is not None:
        print_failure(result, console)


def _document(row: TranscriptionRow, object_store: ObjectStore) -> Transcript:
    assert row.document_key is not None
    return Transcript.from_json(object_store.read_bytes(row.document_key, row.document_sha256))
