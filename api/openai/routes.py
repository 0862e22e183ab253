"""OpenAI's audio API, so that its clients work unchanged."""

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from api.dependencies import Reader, SettingsDep, Writer
from api.openai.dependencies import OpenAIAudioDep
from api.openai.responses import (
    AUDIO_BODY,
    AUDIO_RESPONSES,
    MODEL_EXAMPLE,
    MODEL_NOT_FOUND,
    TRANSLATION_BODY,
)
from api.openai.schemas import STAND_INS, ModelList, ModelRead
from api.transcriptions.dependencies import HOLDS_STREAM_SLOT
from ytcaption.domain.errors import UnknownModel

router = APIRouter(prefix="/v1", tags=["openai"])

_CREATED = 1_663_718_400
"""2022-09-21, when Whisper came out: clients want a time, and none of ours says more."""


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
    """The text of a file, as OpenAI's `audio.transcriptions.create` has it, once it is there: the
    answer waits as long as the client does. Who breaks off and asks again shares the work.
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
    """English, whatever is spoken, as OpenAI's `audio.translations.create` has it."""
    return await audio.answer(request, caller, "translate")


@router.get(
    "/models",
    operation_id="listOpenAIModels",
    summary="Models (OpenAI)",
    responses={
        200: {
            "content": {
                "application/json": {"example": {"object": "list", "data": [MODEL_EXAMPLE]}}
            }
        }
    },
)
async def list_models(settings: SettingsDep, caller: Reader) -> ModelList:
    """This installation's models, and OpenAI's names, which stand for the default one."""
    return ModelList(data=[ModelRead(id=name, created=_CREATED) for name in _names(settings)])


@router.get(
    "/models/{model}",
    operation_id="getOpenAIModel",
    summary="One model (OpenAI)",
    responses={
        200: {"content": {"application/json": {"example": MODEL_EXAMPLE}}},
        **MODEL_NOT_FOUND,
    },
)
async def read_model(
    model: Annotated[str, Path(description="Its name.", examples=["whisper-1"])],
    settings: SettingsDep,
    caller: Reader,
) -> ModelRead:
    """Whether there is a model of this name."""
    if model not in _names(settings):
        raise UnknownModel(f"There is no model '{model[:60]}'. Look at /v1/models.")
    return ModelRead(id=model, created=_CREATED)


def _names(settings: SettingsDep) -> list[str]:
    return list(dict.fromkeys((*settings.models, *STAND_INS)))
