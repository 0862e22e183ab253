"""Bodies and options of requests for transcriptions."""

import json
from typing import Annotated, ClassVar, Literal, Self

from pydantic import (
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    Json,
    JsonValue,
    WithJsonSchema,
    model_validator,
)

from api.http.fields import refuse_unstorable
from ytcaption.domain.caption_choice import CaptionsPolicy
from ytcaption.domain.request import MAX_PROMPT_LENGTH, Priority, Task

MAX_METADATA_BYTES = 4 * 1024
MAX_URL_LENGTH = 2_048


def _without_default(schema: dict[str, JsonValue]) -> None:
    schema.pop("default", None)


def _deprecated(schema: dict[str, JsonValue]) -> None:
    schema.pop("default", None)
    schema["deprecated"] = True


_Temperature = Annotated[float, Field(ge=0, le=1)]
_TEMPERATURE = (
    "Where decoding starts; it rises where the text is doubtful. Default: 0, the most accurate."
)
_Pinned = Field(validation_alias=AliasChoices("pinned", "keep"))


class TextOptions(BaseModel):
    """How text is made from media, of one or of a whole channel, and which URL is notified."""

    model_config = ConfigDict(extra="forbid", validate_by_name=True)

    language: Annotated[
        str | None,
        Field(
            max_length=40,
            description="A code such as `en` or `de`, or an English name. Default: detected.",
            examples=["en"],
        ),
    ] = None
    model: Annotated[
        str | None,
        Field(
            max_length=60,
            description="One of the models in `/api/v1/options`. Default: the installation's.",
            examples=["base"],
        ),
    ] = None
    task: Annotated[Task, Field(description="`translate` writes English whatever is spoken.")] = (
        "transcribe"
    )
    initial_prompt: Annotated[
        str | None,
        Field(
            max_length=MAX_PROMPT_LENGTH,
            description="Text that sets the style: names, spelling, punctuation.",
            examples=["A talk on CTranslate2 and Dagster."],
        ),
    ] = None
    hotwords: Annotated[
        str | None,
        Field(
            max_length=MAX_PROMPT_LENGTH,
            description="Words to expect.",
            examples=["Kubernetes DuckLake"],
        ),
    ] = None
    temperature: Annotated[
        _Temperature | None, Field(strict=True, description=_TEMPERATURE, examples=[0.2])
    ] = None
    captions: Annotated[
        CaptionsPolicy,
        Field(
            description="Whether captions of the source are used. `prefer`: captions made by "
            "people are used, else the audio is transcribed; `prefer_any`: automatic ones are "
            "used, too; `never`: the audio is transcribed; `only`: captions of either kind, or the "
            "transcription fails. Their language is `language`, by default the spoken one."
        ),
    ] = "prefer"
    callback_url: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=MAX_URL_LENGTH,
            description="Receives a signed POST when it ends: see `/api/v1/webhooks`.",
            examples=["https://example.org/hooks/captions"],
        ),
    ] = None
    callback_include: Annotated[
        Literal["result"] | None,
        Field(description="`result`: includes the text if the whole message has at most 20 kB."),
    ] = None

    @model_validator(mode="before")
    @classmethod
    def _storable(cls, value: object) -> object:
        refuse_unstorable(value)
        return value


class RequestOptions(TextOptions):
    """How media is transcribed, from a link, an upload or OpenAI's clients."""

    idempotency_name: ClassVar[str] = "OptionsAsked"

    priority: Annotated[
        Priority, Field(description="`bulk` runs only when nothing interactive waits.")
    ] = "interactive"
    metadata: Annotated[
        dict[str, JsonValue] | None,
        Field(
            description=f"Your own JSON object, at most {MAX_METADATA_BYTES:,} bytes. It is "
            "returned with the status and has no effect.",
            examples=[{"ticket": 4711}],
        ),
    ] = None

    pinned: Annotated[
        bool,
        _Pinned,
        Field(description="Exempt it and its audio from retention by age; can be changed later."),
    ] = False

    @model_validator(mode="after")
    def _short_metadata(self) -> Self:
        if self.metadata is not None:
            refuse_unstorable(self.metadata)  # in a form it arrived as text
            size = len(json.dumps(self.metadata, ensure_ascii=False).encode())
            if size > MAX_METADATA_BYTES:
                raise ValueError(f"metadata has {size:,} bytes; {MAX_METADATA_BYTES:,} are kept")
        return self


class TranscriptionUpdate(BaseModel):
    """Changes to a transcription."""

    model_config = ConfigDict(extra="forbid", strict=True)

    pinned: Annotated[
        bool, _Pinned, Field(description="Exempt it from retention by age until this is false.")
    ]


class UploadOptions(RequestOptions):
    """How an uploaded file is transcribed: parameters of the query or fields of the form."""

    idempotency_name: ClassVar[str] = "UploadOptions"

    metadata: Annotated[
        Json[dict[str, JsonValue]] | None,
        Field(description=f"A JSON object, at most {MAX_METADATA_BYTES:,} bytes; returned."),
        WithJsonSchema({"type": "string", "contentMediaType": "application/json"}),
    ] = None
    # Not strict: a form's values are texts.
    temperature: Annotated[_Temperature | None, Field(description=_TEMPERATURE, examples=[0.2])] = (
        None
    )
    filename: Annotated[
        str | None,
        Field(
            max_length=10_000,
            description="Name of a file that is the whole body; becomes its title. A form's file "
            "has its own.",
            examples=["talk.mp3"],
        ),
    ] = None


class TranscriptionRequest(RequestOptions):
    """Media to transcribe, and how."""

    idempotency_name: ClassVar[str] = "TranscriptionCreate"

    model_config = ConfigDict(
        extra="forbid",
        validate_by_name=True,
        json_schema_extra={"oneOf": [{"required": ["url"]}, {"required": ["youtube_url"]}]},
    )

    url: Annotated[
        str,
        Field(
            min_length=1,
            max_length=MAX_URL_LENGTH,
            description="A page of a supported site, or a media file, by http or https.",
            examples=["https://www.youtube.com/watch?v=dQw4w9WgXcQ"],
            json_schema_extra=_without_default,
        ),
    ] = ""
    youtube_url: Annotated[
        str,
        Field(
            min_length=1,
            max_length=MAX_URL_LENGTH,
            description="Old name of `url`. Give exactly one of the two.",
            examples=["https://youtu.be/dQw4w9WgXcQ"],
            json_schema_extra=_deprecated,
        ),
    ] = ""

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if bool(self.url) == bool(self.youtube_url):
            raise ValueError("give exactly one of url and youtube_url")
        return self

    @property
    def source_url(self) -> str:
        """Return the URL, whichever field holds it."""
        return self.url or self.youtube_url
