"""Captions of the source: whether to ask for them, and the transcript that they make."""

from datetime import UTC, datetime
from importlib.metadata import version

from resources.object_store.store import ObjectStore
from resources.orchestration.claim import Work
from resources.transcriptions.captions import StoredCaptions
from resources.transcriptions.rows import MediaRow
from resources.transcriptions.store import RequestStore
from ytcaption.domain.caption_choice import CaptionsWanted, choose_captions
from ytcaption.domain.captions.track_segments import CaptionTrack
from ytcaption.domain.errors import CaptionsUnavailable
from ytcaption.domain.transcripts.transcript import Provenance, Transcript


def caption_transcript(work: Work, kept: StoredCaptions, track: CaptionTrack) -> Transcript:
    """The transcript that the captions make.

    Raises:
        CaptionsUnavailable: they cannot be read.
    """
    choice = kept.choice
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


def source_of_text(work: Work, object_store: ObjectStore) -> Provenance | None:
    """How the text came about that an earlier attempt has stored; None: there is none."""
    row = work.transcription
    if row.document_key is None or not object_store.exists(row.document_key):
        return None
    return row.provenance


def reference_wanted(work: Work) -> CaptionsWanted | None:
    """The captions to fetch beside audio that is heard although there are some: what is heard is
    measured by them."""
    options = work.transcription.options
    if options.captions != "never" or options.task != "transcribe":
        return None
    return CaptionsWanted("prefer", options.language)


def wanted_of_source(
    work: Work, media: MediaRow, request_store: RequestStore, *, has_audio: bool
) -> CaptionsWanted | None:
    """The captions to ask the source for; None: there is nothing to ask.

    Where the audio is stored, the source is asked only for what it is known to have, or where the
    caller insists. What is decided here is kept with the transcription.

    Raises:
        CaptionsUnavailable: nothing but captions is wanted, and there are none.
    """
    wanted = work.transcription.options.captions_wanted
    if wanted.policy == "never":
        return None
    if media.source.kind == "upload":
        if wanted.policy == "only":
            raise CaptionsUnavailable("A file that is uploaded has no captions to take.")
        return None
    if not has_audio or (media.info.captions is None and wanted.policy != "prefer"):
        return wanted
    choice = choose_captions(wanted, media.info.language, media.info.captions)
    if choice.kind is not None or wanted.policy == "only":
        return wanted
    request_store.captions_settled(work.id, work.run_id, choice, None, None)
    return None
