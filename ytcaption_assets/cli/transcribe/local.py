"""`ytcaption transcribe`: sources in, captions out, with a progress bar that is true."""

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
from ytcaption.settings import Settings
from ytcaption_assets.cli.progress import Bars
from ytcaption_assets.cli.transcribe.captions_folder import write_captions
from ytcaption_assets.cli.transcribe.output import Asked, print_failure, print_transcript
from ytcaption_assets.cli.transcribe.run_process_client import WorkerProcess
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
    """Captions of every source; 0, or 1 where some failed, each with its reason.

    Raises:
        YtcaptionError: nothing could be done at all: no home, no database, no model.
    """
    console = Console(stderr=True, highlight=False)
    with _prepared(settings, console), Bars(console) as bars:
        store = RequestStore.from_settings(settings, role="api")
        object_store = ObjectStore.from_settings(settings)
        asked = [
            _submitted(name, options, settings, store, object_store, bars, force=force)
            for name in names or [str(SAMPLE)]
        ]
        waiting = {each.id for each in asked if each.id and not each.answered_from_store}
        if waiting:
            for part in sorted(paused_parts(store.postgres) - {"intake"}):
                console.print(f"An operator has paused {part}: `ytcaption admin resume {part}`.")
            _carry_out(sorted(waiting), options.model, settings, store, bars)
        bars.stop()
        for each in asked:
            _answer(each, formats, directory, settings, store, object_store, console)
    return 1 if any(each.error for each in asked) else 0


@contextmanager
def _prepared(settings: Settings, console: Console) -> Iterator[None]:
    with ExitStack() as stack:
        with console.status("Starting the database"):
            stack.enter_context(migrated_postgres(settings))
        yield


def _submitted(
    name: str,
    options: TranscriptionOptions,
    settings: Settings,
    store: RequestStore,
    object_store: ObjectStore,
    bars: Bars,
    *,
    force: bool,
) -> Asked:
    try:
        with bars.reading(name) as on_progress:
            source = source_named(name, settings, object_store, on_progress)
        row = store.submit(source, options, force=force).transcription
    except YtcaptionError as error:
        return Asked(name, error=error.message)
    done = row.status is TranscriptionStatus.COMPLETED
    return Asked(name, id=row.id, answered_from_store=done)


def _carry_out(
    ids: Sequence[str], model: str, settings: Settings, store: RequestStore, bars: Bars
) -> None:
    """Waits until each is over: `ytcaption up` works on them, or a process of our own."""
    try:
        if is_up(settings):
            _watch(ids, store, bars, worker=None)
            return
        with bars.downloading(f"model {model}") as on_progress:
            ensure_model(model, settings.models_home, on_progress, settings.pip_index_url)
        with WorkerProcess(ids, settings) as worker:
            _watch(ids, store, bars, worker)
    except BaseException:
        for key in ids:
            store.cancel(key)
        raise


def _watch(
    ids: Sequence[str], store: RequestStore, bars: Bars, worker: WorkerProcess | None
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
            why = waiting.get(row.id)
            bars.show(row, titles[row.id], why.message if why else None)
        if all(row.status.is_final for row in rows):
            return
        if worker is not None:
            worker.check()
        time.sleep(_POLL_S)


def _answer(
    asked: Asked,
    formats: Sequence[CaptionFormat],
    directory: Path,
    settings: Settings,
    store: RequestStore,
    object_store: ObjectStore,
    console: Console,
) -> None:
    """Prints the transcript to standard output, everything else to standard error."""
    if asked.id is not None and asked.error is None:
        try:
            row = get_transcription(store.postgres, asked.id)
            if row.status is TranscriptionStatus.COMPLETED:
                transcript = _document(row, object_store)
                style = settings.caption_style(transcript.text_language)
                title = get_media(store.postgres, row.media_id).name
                asked.files = write_captions(transcript, title, formats, directory, style)
                print_transcript(asked, transcript, title, console)
            else:
                asked.error = row.error_message or f"It was {row.status.value}."
        except YtcaptionError as error:
            asked.error = error.message
    if asked.error is not None:
        print_failure(asked, console)


def _document(row: TranscriptionRow, object_store: ObjectStore) -> Transcript:
    assert row.document_key is not None
    return Transcript.from_json(object_store.read_bytes(row.document_key, row.document_sha256))
