"""Asset `transcription`: request -> partition -> audio -> *transcript* -> parquet -> query."""

import hashlib
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime

import dagster as dg

from resources.audio.decoder import AudioDecoder
from resources.lake.catalog import TranscriptCatalog
from resources.object_store.store import ObjectStore, document_key
from resources.orchestration.partitions import transcription_partitions
from resources.orchestration.transcription_claim import (
    Work,
    claimed_work,
)
from resources.postgres.connection import Postgres
from resources.telemetry.spans import now_ns, record_span, span
from resources.transcribe.transcriber import Transcriber
from resources.transcriptions.accuracy import store_accuracy
from resources.transcriptions.captions import StoredCaptions, stored_captions
from resources.transcriptions.checkpoints import open_checkpoint
from resources.transcriptions.run_store import RunStore
from ytcaption.domain.captions.cues import cues
from ytcaption.domain.captions.quality import qa_report
from ytcaption.domain.captions.style import CaptionStyle
from ytcaption.domain.errors import ObjectNotFound
from ytcaption.domain.request import TranscriptionOptions
from ytcaption.domain.transcripts.transcript import Provenance, Recognition, Transcript
from ytcaption.settings.settings import load_settings
from ytcaption_assets.assets.caption_accuracy import Measured, measured
from ytcaption_assets.assets.caption_transcript import caption_transcript
from ytcaption_assets.assets.metadata import transcript_metadata
from ytcaption_assets.assets.transcription_checks import (
    transcription_check_specs,
    transcription_checks,
)


@dg.asset(
    partitions_def=transcription_partitions,
    deps=["audio_download"],
    pool="transcription",
    kinds={"python", "whisper"},
    owners=["team:speech"],
    group_name="captions",
    check_specs=transcription_check_specs(),
)
def transcription(
    context: dg.AssetExecutionContext,
    run_store: RunStore,
    object_store: ObjectStore,
    audio_decoder: AudioDecoder,
    transcriber: Transcriber,
    transcript_catalog: TranscriptCatalog,
) -> dg.MaterializeResult:
    """The transcript: words with times, one JSON document per transcription."""
    with claimed_work(context, run_store) as work:
        row = work.transcription
        if row.document_key is not None and object_store.exists(row.document_key):
            document = object_store.read_bytes(row.document_key, row.document_sha256)
            result = _Transcribed(Transcript.from_json(document))
            sha256 = hashlib.sha256(document).hexdigest()
        else:
            captions = stored_captions(run_store.postgres, work.id)
            if captions is not None and captions.track is not None:
                result = _Transcribed(caption_transcript(work, captions, captions.track))
            else:
                result = _transcribe(
                    work,
                    run_store.postgres,
                    object_store,
                    audio_decoder,
                    transcriber,
                    transcript_catalog,
                    captions,
                )
            key = document_key(work.id)
            written = object_store.write_bytes(key, result.transcript.to_json())
            sha256 = written.sha256
            run_store.transcript_stored(
                work.id, work.run_id, result.transcript, key, sha256, result.processing_s
            )
        transcript, timings_s = result.transcript, dict(result.timings_s)
        started_at = time.perf_counter()
        style = CaptionStyle.for_language(transcript.text_language)
        with span("captions"):
            caption_cues = cues(transcript, style)
        if timings_s:
            timings_s["captions"] = time.perf_counter() - started_at
        accuracies = _measure(work, run_store.postgres, object_store, transcript, sha256)
        return dg.MaterializeResult(
            metadata=transcript_metadata(
                transcript,
                caption_cues,
                work.media,
                timings_s,
                result.waveform_png,
                result.resumed_s,
            ),
            check_results=transcription_checks(
                transcript,
                qa_report(caption_cues, style),
                accuracies,
                load_settings().captions.caption_wer_limit,
            ),
        )


@dataclass(frozen=True)
class _Transcribed:
    """A transcript, and how it was made if this run has made it of audio.

    Attributes:
        timings_s: wall seconds by stage; empty if the document was stored already, or is made of
            captions.
        waveform_png: picture of the waveform.
        resumed_s: seconds of audio that earlier attempts had transcribed.
    """

    transcript: Transcript
    timings_s: dict[str, float] = field(default_factory=dict)
    waveform_png: bytes | None = None
    resumed_s: float = 0.0

    @property
    def processing_s(self) -> float | None:
        """Seconds that all of the audio took; None if this run has not transcribed all of it."""
        return sum(self.timings_s.values()) if self.timings_s and not self.resumed_s else None


def _measure(
    work: Work,
    postgres: Postgres,
    object_store: ObjectStore,
    transcript: Transcript,
    sha256: str,
) -> list[Measured]:
    """Return the accuracy of this transcript and of other versions beside captions. Stores that of
    this one; `transcript_parquet` stores the others with their rows in the lake."""
    accuracies = measured(postgres, object_store, transcript, sha256)
    for each in accuracies:
        if each.transcript.id == work.id:
            store_accuracy(postgres, work.id, each.accuracy, work.run_id)
    return accuracies


def _transcribe(
    work: Work,
    postgres: Postgres,
    object_store: ObjectStore,
    audio_decoder: AudioDecoder,
    transcriber: Transcriber,
    transcript_catalog: TranscriptCatalog,
    captions: StoredCaptions | None,
) -> _Transcribed:
    audio = work.media.audio
    if audio is None:
        raise ObjectNotFound("The audio is not stored. Materialize audio_download first.")
    started_at = time.perf_counter()
    with span("decode"), object_store.local_file(audio.key, audio.sha256) as path:
        waveform = audio_decoder.decode(path, should_stop=work.should_stop)
    decode_s = time.perf_counter() - started_at
    options = work.transcription.options
    stage_ns = now_ns()
    checkpoint = open_checkpoint(postgres, work.id, work.run_id, audio.sha256)
    # While the model works: draw the waveform, and open the lake for the next asset. If the lake
    # does not open, the next asset tries again and reports why.
    with ThreadPoolExecutor() as meanwhile, work.drafts() as on_segment:
        picture = meanwhile.submit(audio_decoder.waveform_png, waveform)
        meanwhile.submit(transcript_catalog.open)
        recognition = transcriber.transcribe(
            waveform, options, work.progress, on_segment, checkpoint
        )
    for stage, took_s in recognition.timings_s.items():  # `vad`, `load`, `model`, one by one
        stage_ns = record_span(stage, stage_ns, took_s)
    return _Transcribed(
        _document(work, recognition, transcriber, options, audio.sha256, captions),
        {"decode": decode_s, **recognition.timings_s},
        picture.result(),
        recognition.resumed_s,
    )


def _document(
    work: Work,
    recognition: Recognition,
    transcriber: Transcriber,
    options: TranscriptionOptions,
    audio_sha256: str,
    captions: StoredCaptions | None,
) -> Transcript:
    engine = transcriber.describe(options.model)
    return Transcript(
        id=work.id,
        media_id=work.media.source.media_id,
        task=options.task,
        language=recognition.language,
        language_probability=recognition.language_probability,
        duration_s=recognition.duration_s,
        speech_s=recognition.speech_s,
        segments=recognition.segments,
        dropped=recognition.dropped,
        provenance=Provenance(
            source="asr",
            engine=engine.engine,
            engine_version=engine.engine_version,
            model=engine.model,
            model_revision=engine.model_revision,
            device=engine.device,
            compute_type=engine.compute_type,
            options=options.to_dict(),
            audio_sha256=audio_sha256,
            run_id=work.run_id,
            created_at=datetime.now(UTC).isoformat(timespec="seconds"),
            captions=captions.choice.to_dict() if captions is not None else None,
        ),
    )
