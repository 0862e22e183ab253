"""`GET /api/v1/options`: the models, languages and formats of this installation."""

from fastapi import APIRouter

from api.dependencies import SettingsDep
from api.transcriptions.schemas import Language, OptionsResponse
from ytcaption.domain.captions.formats import CaptionFormat
from ytcaption.domain.languages import WHISPER_LANGUAGES

router = APIRouter(prefix="/api/v1", tags=["transcriptions"])

_EXAMPLE = {
    "models": ["base", "tiny", "small"],
    "default_model": "base",
    "languages": [{"code": "en", "name": "English"}, {"code": "de", "name": "German"}],
    "formats": [format.value for format in CaptionFormat],
    "default_line_length": 42,
    "default_lines": 2,
}


@router.get(
    "/options",
    operation_id="getOptions",
    summary="List models, languages and formats",
    responses={200: {"content": {"application/json": {"example": _EXAMPLE}}}},
)
async def read_options(settings: SettingsDep) -> OptionsResponse:
    """Return the models, languages and caption formats of this installation."""
    return OptionsResponse(
        models=list(settings.speech.models),
        default_model=settings.speech.model,
        languages=[
            Language(code=code, name=name.title()) for name, code in WHISPER_LANGUAGES.items()
        ],
        formats=[format.value for format in CaptionFormat],
        default_line_length=settings.captions.caption_line_length,
        default_lines=settings.captions.caption_lines,
    )
