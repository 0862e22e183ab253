"""Bodies that OpenAI's clients send and receive."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from api.http.fields import refuse_unstorable
from api.transcriptions.request_schemas import RequestOptions
from api.uploads.form import form_error
from ytcaption.domain.request import MAX_PROMPT_LENGTH, Task
from ytcaption.settings.settings import Settings

MODEL_ALIASES = ("whisper-1", "gpt-4o-transcribe", "gpt-4o-mini-transcribe", "gpt-transcribe")
"""OpenAI's model names, which stand for the installation's default model."""

ResponseFormat = Literal["json", "text", "srt", "verbose_json", "vtt"]


class AudioForm(BaseModel):
    """The fields of a form beside its file. Unknown fields are ignored, so that newer clients
    work, too."""

    model_config = ConfigDict(extra="ignore", populate_by_name=True)

    model: Annotated[
        str,
        Field(
            max_length=60,
            description="One of `/v1/models`. OpenAI's names stand for the default model.",
            examples=["whisper-1"],
        ),
    ] = MODEL_ALIASES[0]
    language: Annotated[
        str | None, Field(max_length=40, description="A code. Default: detected.")
    ] = None
    prompt: Annotated[
        str | None,
        Field(
            description="Text that sets the style: names, spelling, punctuation. Only the last "
            f"{MAX_PROMPT_LENGTH:,} characters are used."
        ),
    ] = None
    response_format: ResponseFormat = "json"
    temperature: Annotated[float, Field(ge=0, le=1, description="Where decoding starts.")] = 0.0
    timestamp_granularities: Annotated[
        list[Literal["word", "segment"]],
        Field(
            alias="timestamp_granularities[]",
            description="What `verbose_json` has times of. Default: segments.",
        ),
    ] = []
    stream: Annotated[
        bool, Field(description="Send server-sent events while the audio is transcribed.")
    ] = False
    keywords: Annotated[
        list[str], Field(alias="keywords[]", description="Words to expect, as `hotwords`.")
    ] = []
    include: Annotated[list[str], Field(alias="include[]", description="Not supported.")] = []

    @model_validator(mode="before")
    @classmethod
    def _storable(cls, value: object) -> object:
        refuse_unstorable(value)
        return value

    @model_validator(mode="after")
    def _offered(self) -> Self:
        if self.include:
            raise ValueError("include is not supported: log probabilities are not stored")
        return self

    @classmethod
    def of(cls, fields: list[tuple[str, str]]) -> Self:
        """Return the form of these fields; empty ones are ignored.

        Raises:
            RequestValidationError: a field is wrong.
        """
        values: dict[str, Any] = {}
        for name, value in fields:
            name = name.removesuffix("[]")
            known = cls.model_fields.get(name)
            if known is None or not value:
                continue
            if known.annotation is not None and getattr(known.annotation, "__origin__", 0) is list:
                values.setdefault(name, []).append(value)
            else:
                values[name] = value
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise form_error(error) from None

    def options(self, task: Task, settings: Settings) -> RequestOptions:
        """Return the form as options of a transcription."""
        is_alias = self.model in MODEL_ALIASES and self.model not in settings.speech.models
        return RequestOptions(
            model=settings.speech.model if is_alias else self.model,
            language=self.language,
            task=task,
            initial_prompt=self.prompt[-MAX_PROMPT_LENGTH:] if self.prompt else None,
            hotwords=", ".join(self.keywords)[:MAX_PROMPT_LENGTH] or None,
            temperature=self.temperature,
        )


class Usage(BaseModel):
    """Billed audio, in OpenAI's form."""

    type: Literal["duration"] = "duration"
    seconds: float


class AudioText(BaseModel):
    """`response_format=json`."""

    text: str
    usage: Usage


class VerboseSegment(BaseModel):
    """A segment. `seek` and `tokens` are internals of the decoder and not stored."""

    id: int
    seek: int = 0
    start: float
    end: float
    text: str
    tokens: list[int] = []
    temperature: float
    avg_logprob: float
    compression_ratio: float
    no_speech_prob: float


class VerboseWord(BaseModel):
    """A word."""

    word: str
    start: float
    end: float


class VerboseText(BaseModel):
    """`response_format=verbose_json`."""

    task: Task
    language: Annotated[str, Field(description="Its English name; empty without speech.")]
    duration: float
    text: str
    segments: list[VerboseSegment] | None = None
    words: list[VerboseWord] | None = None
    usage: Usage


class ModelResponse(BaseModel):
    """A model, as OpenAI's clients list it."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str = "ytcaption"


class ModelList(BaseModel):
    """All models."""

    object: Literal["list"] = "list"
    data: list[ModelResponse]
