"""Metadata of materializations in the Dagster UI: a link, numbers, a preview, a picture."""

import base64
from collections.abc import Mapping
from typing import Any

import dagster as dg

from resources.object_store.store import ObjectStore
from resources.transcriptions.rows import MediaRow
from ytcaption.domain.caption_choice import CaptionChoice
from ytcaption.domain.captions.cues import Cue
from ytcaption.domain.transcripts.metrics import rtf
from ytcaption.domain.transcripts.transcript import Transcript

PREVIEW_CUES = 12
LISTED_DROPS = 20


def audio_metadata(media: MediaRow, object_store: ObjectStore) -> dict[str, Any]:
    """Return the metadata of `audio_download`; sizes in bytes, durations in seconds."""
    audio, info = media.audio, media.info
    if audio is None:
        return {}
    values = {
        "title": _title(media),
        "channel": info.channel,
        "upload_date": info.upload_date,
        "thumbnail": dg.MetadataValue.url(info.thumbnail_url) if info.thumbnail_url else None,
        "chapters": len(info.chapters) or None,
        "duration_s": audio.duration_s,
        "codec": audio.codec,
        "container": audio.container,
        "sample_rate_hz": audio.sample_rate_hz,
        "size_bytes": audio.size_bytes,
        "sha256": audio.sha256,
        "dagster/uri": object_store.uri(audio.key),
    }
    return {name: value for name, value in values.items() if value is not None}


def captions_metadata(media: MediaRow, choice: CaptionChoice) -> dict[str, Any]:
    """Return the metadata of `audio_download` if captions are used instead of audio."""
    values = {
        "title": _title(media),
        "channel": media.info.channel,
        "captions_choice": dg.MetadataValue.json(choice.to_dict()),
        "downloaded": False,
    }
    return {name: value for name, value in values.items() if value is not None}


def transcript_metadata(
    transcript: Transcript,
    captions: list[Cue],
    media: MediaRow,
    timings_s: Mapping[str, float],
    waveform_png: bytes | None,
    resumed_s: float = 0.0,
) -> dict[str, Any]:
    """Return the metadata of `transcription`: numbers, the first captions and the waveform.

    Args:
        timings_s: wall seconds by stage.
        resumed_s: seconds of audio that earlier attempts transcribed; if any, there is no RTF.
    """
    metadata: dict[str, Any] = {
        "title": _title(media),
        "language": transcript.language or "none: no speech",
        "language_probability": round(transcript.language_probability, 3),
        "duration_s": round(transcript.duration_s, 2),
        "speech_s": round(transcript.speech_s, 2),
        "words": len(transcript.words),
        "source": transcript.provenance.source,
        "model": transcript.provenance.model or "none: captions of the source",
        "captions": dg.MetadataValue.md(_preview(captions)),
        "dropped_segments": len(transcript.dropped),
    }
    if transcript.dropped:
        metadata["dropped"] = dg.MetadataValue.json(
            [
                {"start_s": drop.start_s, "reason": drop.reason, "text": drop.text[:200]}
                for drop in transcript.dropped[:LISTED_DROPS]
            ]
        )
    if transcript.provenance.captions is not None:
        metadata["captions_choice"] = dg.MetadataValue.json(transcript.provenance.captions)
    if timings_s:
        if resumed_s:
            metadata["resumed_s"] = round(resumed_s, 2)
        else:
            metadata["rtf"] = round(rtf(sum(timings_s.values()), transcript.duration_s), 4)
        metadata |= {f"{stage}_s": round(took_s, 3) for stage, took_s in timings_s.items()}
    if waveform_png:
        encoded = base64.b64encode(waveform_png).decode()
        metadata["waveform"] = dg.MetadataValue.md(f"![waveform](data:image/png;base64,{encoded})")
    return metadata


def _title(media: MediaRow) -> dg.MetadataValue:
    title = media.name
    url = media.info.webpage_url or media.source.url
    return dg.MetadataValue.md(f"[{_escaped(title)}](<{url}>)" if url else _escaped(title))


def _preview(captions: list[Cue]) -> str:
    if not captions:
        return "*No speech.*"
    lines = [f"`{_clock(cue.start_ms)}` {_escaped(' '.join(cue.lines))}" for cue in captions]
    more = len(lines) - PREVIEW_CUES
    shown = lines[:PREVIEW_CUES] + ([f"*and {more} more*"] if more > 0 else [])
    return "  \n".join(shown)


def _escaped(text: str) -> str:
    """Escape untrusted text for Markdown, so that it adds no link, image, tag or code."""
    return "".join(f"\\{char}" if char in "\\`*_{}[]()#+-!<>|&~" else char for char in text)


def _clock(milliseconds: int) -> str:
    seconds = milliseconds // 1000
    return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"
