"""What is sent."""

import json
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, Json, JsonValue, WithJsonSchema, model_validator

from api.http.storable import refuse_unstorable
from ytcaption.domain.caption_choice import CaptionsPolicy
from ytcaption.domain.request import MAX_PROMPT_LENGTH, Priority, Task

MAX_METADATA_BYTES = 4 * 1024
MAX_URL_LENGTH = 2_048


def _without_default(schema: dict[str, JsonValue]) -> None:
    schema.pop("default", None)


_Temperature = Annotated[float, Field(ge=0, le=1)]
_WARMER = (
    "Where decoding starts; it goes up where the text is doubtful. Left out: 0, the most exact."
)


class TextOptions(BaseModel):
    """How the text of media is to be made, one of them or all of a channel, and who is told."""

    model_config = ConfigDict(extra="forbid")

    language: Annotated[
        str | None,
        Field(
            max_length=40,
            description="A code such as `en` or `de`, or an English name. Left out: detected.",
            examples=["en"],
        ),
    ] = None
    model: Annotated[
        str | None,
        Field(
            max_length=60,
            description="One of the models under `/api/v1/options`. Left out: the default.",
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
        _Temperature | None, Field(strict=True, description=_WARMER, examples=[0.2])
    ] = None
    captions: Annotated[
        CaptionsPolicy,
        Field(
            description="What is made of captions that the source has. `prefer`: those that people "
            "made are taken, else the audio is heard; `prefer_any`: automatic ones, too; `never`: "
            "the audio is heard; `only`: captions of either kind, or it fails. They are taken in "
            "`language`, or left out, in the language that is spoken."
        ),
    ] = "prefer"
    callback_url: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=MAX_URL_LENGTH,
            description="Where you are told of the end, by a signed POST: see `/api/v1/webhooks`.",
            examples=["https://example.org/hooks/captions"],
        ),
    ] = None
    callback_include: Annotated[
        Literal["result"] | None,
        Field(description="`result`: the text, too, where the whole message has 20 kB at most."),
    ] = None

    @model_validator(mode="before")
    @classmethod
    def _storable(cls, value: object) -> object:
        refuse_unstorable(value)
        return value


class OptionsAsked(TextOptions):
    """How a media is to be transcribed, whatever way it comes in."""

    priority: Annotated[
        Priority, Field(description="`bulk` waits until nothing interactive does.")
    ] = "interactive"
    metadata: Annotated[
        dict[str, JsonValue] | None,
        Field(
            description=f"Your own JSON object, at most {MAX_METADATA_BYTES:,} bytes. It is kept "
            "with this request and changes nothing.",
            examples=[{"ticket": 4711}],
        ),
    ] = None

    keep: Annotated[
        bool,
        Field(description="Neither it nor its audio is taken away by its age; yours to change."),
    ] = False

    @model_validator(mode="after")
    def _short_metadata(self) -> Self:
        if self.metadata is not None:
            refuse_unstorable(self.metadata)  # where it came as text, it was one until now
            size = len(json.dumps(self.metadata, ensure_ascii=False).encode())
            if size > MAX_METADATA_BYTES:
                raise ValueError(f"metadata has {size:,} bytes; {MAX_METADATA_BYTES:,} are kept")
        return self


class TranscriptionChange(BaseModel):
    """What can be changed of a transcription."""

    model_config = ConfigDict(extra="forbid", strict=True)

    keep: Annotated[bool, Field(description="Whatever its age, until you say otherwise.")]


class UploadOptions(OptionsAsked):
    """How a file that is sent is to be transcribed: in its query, or in fields of its form."""

    metadata: Annotated[
        Json[dict[str, JsonValue]] | None,
        Field(description=f"A JSON object, at most {MAX_METADATA_BYTES:,} bytes; given back."),
        WithJsonSchema({"type": "string", "contentMediaType": "application/json"}),
    ] = None
    # Not strict: a form's values are texts.
    temperature: Annotated[_Temperature | None, Field(description=_WARMER, examples=[0.2])] = None
    filename: Annotated[
        str | None,
        Field(
            max_length=10_000,
            description="Of a file that is the whole body: its title. A form's file has its own.",
            examples=["talk.mp3"],
        ),
    ] = None


class TranscriptionCreate(OptionsAsked):
    """A media to transcribe, and how."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"oneOf": [{"required": ["url"]}, {"required": ["youtube_url"]}]},
    )

    url: Annotated[
        str,
        Field(
            min_length=1,
            max_length=MAX_URL_LENGTH,
            description="A page of a known site, or a media file, by http or https.",
            examples=["https://www.youtube.com/watch?v=dQw4w9WgXcQ"],
            json_schema_extra=_without_default,
        ),
    ] = ""
    youtube_url: Annotated[
        str,
        Field(
            min_length=1,
            max_length=MAX_URL_LENGTH,
            description="The same as `url`. Give exactly one of the two.",
            examples=["https://youtu.be/dQw4w9WgXcQ"],
            json_schema_extra=_without_default,
        ),
    ] = ""

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if bool(self.url) == bool(self.youtube_url):
            raise ValueError("give exactly one of url and youtube_url")
        return self

    @property
    def source_url(self) -> str:
        """The one URL."""
        return self.url or self.youtube_url
