"""What OpenAI's clients send and read."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from api.http.storable import refuse_unstorable
from api.transcriptions.request_schemas import OptionsAsked
from api.uploads.form import form_error
from ytcaption.domain.request import MAX_PROMPT_LENGTH, Task
from ytcaption.settings import Settings

STAND_INS = ("whisper-1", "gpt-4o-transcribe", "gpt-4o-mini-transcribe", "gpt-transcribe")
"""OpenAI's own names, which stand for the installation's default model."""

ResponseFormat = Literal["json", "text", "srt", "verbose_json", "vtt"]


class AudioForm(BaseModel):
    """The fields of a form beside its file. Others are ignored, so that a client which knows more
    than this server works all the same."""

    model_config = ConfigDict(extra="ignore", populate_by_name=True)

    model: Annotated[
        str,
        Field(
            max_length=60,
            description="One of `/v1/models`. OpenAI's names stand for the default model.",
            examples=["whisper-1"],
        ),
    ] = STAND_INS[0]
    language: Annotated[
        str | None, Field(max_length=40, description="A code. Left out: detected.")
    ] = None
    prompt: Annotated[
        str | None,
        Field(
            description="Text that sets the style: names, spelling, punctuation. Of a longer one "
            f"the last {MAX_PROMPT_LENGTH:,} characters count."
        ),
    ] = None
    response_format: ResponseFormat = "json"
    temperature: Annotated[float, Field(ge=0, le=1, description="Where decoding starts.")] = 0.0
    timestamp_granularities: Annotated[
        list[Literal["word", "segment"]],
        Field(
            alias="timestamp_granularities[]",
            description="What `verbose_json` has the times of; segments unless said.",
        ),
    ] = []
    stream: Annotated[
        bool, Field(description="Server-sent events while it is heard, instead of an answer.")
    ] = False
    keywords: Annotated[
        list[str], Field(alias="keywords[]", description="Words to expect, as `hotwords`.")
    ] = []
    include: Annotated[
        list[str], Field(alias="include[]", description="Nothing that is offered here.")
    ] = []

    @model_validator(mode="before")
    @classmethod
    def _storable(cls, value: object) -> object:
        refuse_unstorable(value)
        return value

    @model_validator(mode="after")
    def _offered(self) -> Self:
        if self.include:
            raise ValueError("include offers nothing here: log probabilities are not kept")
        return self

    @classmethod
    def of(cls, fields: list[tuple[str, str]]) -> Self:
        """From a form's fields; empty ones are left out.

        Raises:
            RequestValidationError: one of them is wrong.
        """
        given: dict[str, Any] = {}
        for name, value in fields:
            name = name.removesuffix("[]")
            known = cls.model_fields.get(name)
            if known is None or not value:
                continue
            if known.annotation is not None and getattr(known.annotation, "__origin__", 0) is list:
                given.setdefault(name, []).append(value)
            else:
                given[name] = value
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            raise form_error(error) from None

    def options(self, task: Task, settings: Settings) -> OptionsAsked:
        """The same in our own words."""
        stands_in = self.model in STAND_INS and self.model not in settings.models
        return OptionsAsked(
            model=settings.model if stands_in else self.model,
            language=self.language,
            task=task,
            initial_prompt=self.prompt[-MAX_PROMPT_LENGTH:] if self.prompt else None,
            hotwords=", ".join(self.keywords)[:MAX_PROMPT_LENGTH] or None,
            temperature=self.temperature,
        )


class Usage(BaseModel):
    """Of audio."""

    type: Literal["duration"] = "duration"
    seconds: float


class AudioText(BaseModel):
    """`response_format=json`."""

    text: str
    usage: Usage


class VerboseSegment(BaseModel):
    """A segment. `seek` and `tokens` are the decoder's own affairs and not kept."""

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
    language: Annotated[str, Field(description="Its English name; empty where nobody speaks.")]
    duration: float
    text: str
    segments: list[VerboseSegment] | None = None
    words: list[VerboseWord] | None = None
    usage: Usage


class ModelRead(BaseModel):
    """A model, as OpenAI's clients list it."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str = "ytcaption"


class ModelList(BaseModel):
    """All of them."""

    object: Literal["list"] = "list"
    data: list[ModelRead]
