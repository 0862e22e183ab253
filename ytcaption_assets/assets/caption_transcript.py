"""Captions of the source: whether to request them, and the transcript made of them."""

from datetime import UTC, datetime
from importlib.metadata import version

from resources.object_store.store import ObjectStore
from resources.orchestration.transcription_claim import Work
from resources.transcriptions.captions import StoredCaptions
from resources.transcriptions.rows import MediaRow
from resources.transcriptions.run_store import RunStore
from ytcaption.domain.caption_choice import CaptionsWanted, choose_captions
from ytcaption.domain.captions.track_segments import CaptionTrack
from ytcaption.domain.errors import CaptionsUnavailable
from ytcaption.domain.transcripts.transcript import Provenance, Transcript


def caption_transcript(work: Work, captions: StoredCaptions, track: CaptionTrack) -> Transcript:
    """Return the transcript made of the captions.

    Raises:
        CaptionsUnavailable: they cannot be parsed.
    """
    choice = captions.choice
    try:
        segments = track.segments(choice.kind or "manual")
    except ValueError as error:
        raise CaptionsUnavailable(f"The captions cannot be read: {error}.") from error
    speech_s = sum(segment.end_s - segment.start_s for segment in segments)
    end_s = segments[-1].end_s if segments else 0.0
    is_automatic = choice.kind == "automatic"
    return Transcript(
        id=work.id,
        media_id=work.media.source.media_id,
        task=work.transcription.options.task,
        language=choice.language,
        language_probability=1.0,
        duration_s=max(work.media.info.duration_s or 0.0, end_s),
        speech_s=round(speech_s, 3),
        segments=segments,
        dropped=(),
        provenance=Provenance(
            source="automatic_captions" if is_automatic else "manual_captions",
            engine="yt-dlp",
            engine_version=version("yt-dlp"),
            model="",
            model_revision="",
            device="",
            compute_type="",
            options=work.transcription.options.to_dict(),
            audio_sha256="",
            run_id=work.run_id,
            created_at=datetime.now(UTC).isoformat(timespec="seconds"),
            captions=choice.to_dict(),
        ),
    )


def stored_provenance(work: Work, object_store: ObjectStore) -> Provenance | None:
    """Return the provenance of the transcript that an earlier attempt has stored; None: there is
    none."""
    row = work.transcription
    if row.document_key is None or not object_store.exists(row.document_key):
        return None
    return row.provenance


def reference_to_request(work: Work) -> CaptionsWanted | None:
    """Return the captions to download with audio that is transcribed although the source may have
    captions: the accuracy of the transcript is measured by them."""
    options = work.transcription.options
    if options.captions != "never" or options.task != "transcribe":
        return None
    return CaptionsWanted("prefer", options.language)


def captions_to_request(
    work: Work, media: MediaRow, run_store: RunStore, *, has_audio: bool
) -> CaptionsWanted | None:
    """Return the captions to request from the source; None: request none.

    If the audio is stored already, captions are requested only if the source is known to have
    them, or if the options demand captions. The decision is stored with the transcription.

    Raises:
        CaptionsUnavailable: the options allow nothing but captions, and there are none.
    """
    wanted = work.transcription.options.captions_wanted
    if wanted.policy == "never":
        return None
    if media.source.kind == "upload":
        if wanted.policy == "only":
            raise CaptionsUnavailable("An uploaded file has no captions.")
        return None
    if not has_audio or (media.info.captions is None and wanted.policy != "prefer"):
        return wanted
    choice = choose_captions(wanted, media.info.language, media.info.captions)
    if choice.kind is not None or wanted.policy == "only":
        return wanted
    run_store.captions_settled(work.id, work.run_id, choice, None, None)
    return None
