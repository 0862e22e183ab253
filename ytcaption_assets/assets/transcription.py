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
from resources.orchestration.claim import Work, claimed_work
from resources.orchestration.partitions import transcription_partitions
from resources.telemetry.spans import now_ns, record_span, span
from resources.transcribe.transcriber import Transcriber
from resources.transcriptions.accuracy import store_accuracy
from resources.transcriptions.captions import StoredCaptions, stored_captions
from resources.transcriptions.checkpoints import open_checkpoint
from resources.transcriptions.store import RequestStore
from ytcaption.domain.captions.cues import cues
from ytcaption.domain.captions.quality import qa_report
from ytcaption.domain.captions.style import CaptionStyle
from ytcaption.domain.errors import ObjectNotFound
from ytcaption.domain.request import TranscriptionOptions
from ytcaption.domain.transcripts.transcript import Provenance, Recognition, Transcript
from ytcaption.settings import load_settings
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
    request_store: RequestStore,
    object_store: ObjectStore,
    audio_decoder: AudioDecoder,
    transcriber: Transcriber,
    transcript_catalog: TranscriptCatalog,
) -> dg.MaterializeResult:
    """What was said, word by word with times, one JSON document a transcription."""
    with claimed_work(context, request_store) as work:
        row = work.transcription
        if row.document_key is not None and object_store.exists(row.document_key):
            document = object_store.read_bytes(row.document_key, row.document_sha256)
            heard = _Heard(Transcript.from_json(document))
            sha256 = hashlib.sha256(document).hexdigest()
        else:
            kept = stored_captions(request_store.postgres, work.id)
            if kept is not None and kept.track is not None:
                heard = _Heard(caption_transcript(work, kept, kept.track))
            else:
                heard = _transcribe(
                    work,
                    request_store,
                    object_store,
                    audio_decoder,
                    transcriber,
                    transcript_catalog,
                    kept,
                )
            key = document_key(work.id)
            written = object_store.write_bytes(key, heard.transcript.to_json())
            sha256 = written.sha256
            request_store.transcript_stored(
                work.id, work.run_id, heard.transcript, key, sha256, heard.processing_s
            )
        transcript, timings = heard.transcript, dict(heard.timings_s)
        started_at = time.perf_counter()
        style = CaptionStyle.for_language(transcript.text_language)
        with span("captions"):
            captions = cues(transcript, style)
        if timings:
            timings["captions"] = time.perf_counter() - started_at
        compared = _measured(work, request_store, object_store, transcript, sha256)
        return dg.MaterializeResult(
            metadata=transcript_metadata(
                transcript, captions, work.media, timings, heard.picture, heard.resumed_s
            ),
            check_results=transcription_checks(
                transcript,
                qa_report(captions, style),
                compared,
                load_settings().caption_wer_limit,
            ),
        )


@dataclass(frozen=True)
class _Heard:
    """What came of the audio, or of the captions.

    Attributes:
        timings_s: wall seconds by stage; empty where the document was there, and of captions.
        picture: PNG of the waveform.
        resumed_s: seconds of audio that earlier attempts heard.
    """

    transcript: Transcript
    timings_s: dict[str, float] = field(default_factory=dict)
    picture: bytes | None = None
    resumed_s: float = 0.0

    @property
    def processing_s(self) -> float | None:
        """What all of the audio took; None where an earlier attempt took a part of it, or nothing
        was heard."""
        return sum(self.timings_s.values()) if self.timings_s and not self.resumed_s else None


def _measured(
    work: Work,
    request_store: RequestStore,
    object_store: ObjectStore,
    transcript: Transcript,
    sha256: str,
) -> list[Measured]:
    """Beside captions; what was found of this transcript is kept. The others' is kept with their
    rows in the lake."""
    found = measured(request_store.postgres, object_store, transcript, sha256)
    for each in found:
        if each.transcript.id == work.id:
            store_accuracy(request_store.postgres, work.id, each.accuracy, work.run_id)
    return found


def _transcribe(
    work: Work,
    request_store: RequestStore,
    object_store: ObjectStore,
    audio_decoder: AudioDecoder,
    transcriber: Transcriber,
    transcript_catalog: TranscriptCatalog,
    kept: StoredCaptions | None,
) -> _Heard:
    audio = work.media.audio
    if audio is None:
        raise ObjectNotFound("The audio is not stored. Materialize audio_download first.")
    started_at = time.perf_counter()
    with span("decode"), object_store.local_file(audio.key, audio.sha256) as path:
        waveform = audio_decoder.decode(path, should_stop=work.should_stop)
    decode_s = time.perf_counter() - started_at
    options = work.transcription.options
    heard_ns = now_ns()
    checkpoint = open_checkpoint(request_store.postgres, work.id, work.run_id, audio.sha256)
    # While the model works: the picture, and the lake, which the next asset needs. Where it does
    # not open, that asset tries again, and tells why.
    with ThreadPoolExecutor() as meanwhile, work.drafts() as on_segment:
        picture = meanwhile.submit(audio_decoder.waveform_png, waveform)
        meanwhile.submit(transcript_catalog.open)
        recognition = transcriber.transcribe(
            waveform, options, work.progress, on_segment, checkpoint
        )
    for step, took_s in recognition.timings_s.items():  # `vad`, `load`, `model`: one after another
        heard_ns = record_span(step, heard_ns, took_s)
    return _Heard(
        _document(work, recognition, transcriber, options, audio.sha256, kept),
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
    kept: StoredCaptions | None,
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
            captions=kept.choice.to_dict() if kept is not None else None,
        ),
    )
