"""Renders transcripts in OpenAI's response formats."""

import math

from fastapi import Response
from pydantic import BaseModel

from api.openai.schemas import AudioForm, AudioText, Usage, VerboseSegment, VerboseText, VerboseWord
from api.transcriptions.result import CaptionLayout, content_type
from ytcaption.domain.captions.formats import CaptionFormat, render
from ytcaption.domain.languages import WHISPER_LANGUAGES
from ytcaption.domain.transcripts.plain_text import running_text, with_space
from ytcaption.domain.transcripts.transcript import Transcript
from ytcaption.settings.settings import Settings

_NAMES = {code: name for name, code in WHISPER_LANGUAGES.items()}


def audio_response(transcript: Transcript, form: AudioForm, settings: Settings) -> Response:
    """Return the transcript in the format that the form selects."""
    text = running_text([segment.text for segment in transcript.segments])
    match form.response_format:
        case "json":
            return _json(AudioText(text=text, usage=_usage(transcript)))
        case "text":
            return Response(f"{text}\n", media_type="text/plain")
        case "verbose_json":
            return _json(_verbose(transcript, text, form))
        case "srt" | "vtt":
            format = CaptionFormat(form.response_format)
            style = CaptionLayout.requested(settings, None, None).style(transcript.text_language)
            captions = render(transcript, format, style)
            return Response(captions.encode(), headers={"Content-Type": content_type(format)})


def _verbose(transcript: Transcript, text: str, form: AudioForm) -> VerboseText:
    granularities = form.timestamp_granularities or ["segment"]
    return VerboseText(
        task="translate" if transcript.task == "translate" else "transcribe",
        language=_NAMES.get(transcript.text_language or "", ""),
        duration=transcript.duration_s,
        text=text,
        segments=_segments(transcript) if "segment" in granularities else None,
        words=_words(transcript) if "word" in granularities else None,
        usage=_usage(transcript),
    )


def _segments(transcript: Transcript) -> list[VerboseSegment]:
    return [
        VerboseSegment(
            id=segment.index,
            start=segment.start_s,
            end=segment.end_s,
            text=with_space(segment.text),
            temperature=segment.temperature,
            avg_logprob=segment.avg_logprob,
            compression_ratio=segment.compression_ratio,
            no_speech_prob=segment.no_speech_prob,
        )
        for segment in transcript.segments
    ]


def _words(transcript: Transcript) -> list[VerboseWord]:
    return [
        VerboseWord(word=word.text.strip(), start=word.start_s, end=word.end_s)
        for word in transcript.words
    ]


def _usage(transcript: Transcript) -> Usage:
    return Usage(seconds=math.ceil(transcript.duration_s))


def _json(body: BaseModel) -> Response:
    return Response(body.model_dump_json(exclude_none=True), media_type="application/json")
