"""Routes of OpenAI's audio API, so that its clients work unchanged."""

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from api.dependencies import Reader, SettingsDep, Writer, part
from api.openai.audio import OpenAIAudio
from api.openai.responses import (
    AUDIO_BODY,
    AUDIO_RESPONSES,
    MODEL_EXAMPLE,
    MODEL_NOT_FOUND,
    TRANSLATION_BODY,
)
from api.openai.schemas import MODEL_ALIASES, ModelList, ModelResponse
from api.responses import json_example
from api.transcriptions.dependencies import HOLDS_STREAM_SLOT
from ytcaption.domain.errors import UnknownModel

router = APIRouter(prefix="/v1", tags=["openai"])

OpenAIAudioDep = Annotated[OpenAIAudio, part("openai_audio")]

_CREATED = 1_663_718_400
"""2022-09-21, the release of Whisper: clients need a time, and models here have none."""


@router.post(
    "/audio/transcriptions",
    operation_id="createOpenAITranscription",
    summary="Transcribe a file (OpenAI)",
    response_class=Response,
    responses=AUDIO_RESPONSES,
    openapi_extra={"requestBody": AUDIO_BODY},
    dependencies=[HOLDS_STREAM_SLOT],
)
async def transcribe_audio(request: Request, caller: Writer, audio: OpenAIAudioDep) -> Response:
    """Return the text of a file, like OpenAI's `audio.transcriptions.create`.

    The response comes when the text is ready, for as long as the client waits. A repeated request
    shares the work.
    """
    return await audio.answer(request, caller, "transcribe")


@router.post(
    "/audio/translations",
    operation_id="createOpenAITranslation",
    summary="Translate a file into English (OpenAI)",
    response_class=Response,
    responses=AUDIO_RESPONSES,
    openapi_extra={"requestBody": TRANSLATION_BODY},
    dependencies=[HOLDS_STREAM_SLOT],
)
async def translate_audio(request: Request, caller: Writer, audio: OpenAIAudioDep) -> Response:
    """Return the text in English, whatever is spoken, like OpenAI's `audio.translations.create`."""
    return await audio.answer(request, caller, "translate")


@router.get(
    "/models",
    operation_id="listOpenAIModels",
    summary="List models (OpenAI)",
    responses=json_example(200, {"object": "list", "data": [MODEL_EXAMPLE]}),
)
async def list_models(settings: SettingsDep, caller: Reader) -> ModelList:
    """Return this installation's models, and OpenAI's names, which stand for the default one."""
    return ModelList(data=[ModelResponse(id=name, created=_CREATED) for name in _names(settings)])


@router.get(
    "/models/{model}",
    operation_id="getOpenAIModel",
    summary="Get a model (OpenAI)",
    responses=json_example(200, MODEL_EXAMPLE) | MODEL_NOT_FOUND,
)
async def read_model(
    model: Annotated[str, Path(description="Its name.", examples=["whisper-1"])],
    settings: SettingsDep,
    caller: Reader,
) -> ModelResponse:
    """Return the model of this name."""
    if model not in _names(settings):
        raise UnknownModel(f"There is no model '{model[:60]}'. Look at /v1/models.")
    return ModelResponse(id=model, created=_CREATED)


def _names(settings: SettingsDep) -> list[str]:
    return list(dict.fromkeys((*settings.speech.models, *MODEL_ALIASES)))
