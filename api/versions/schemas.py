"""Versions of a media's transcription, and making many anew."""

from typing import Annotated, Self

from pydantic import BaseModel, Field

from api.http.storable import StorableBody
from api.transcriptions.schemas import MediaRead
from resources.retranscribe.filter import MAX_LENGTH
from resources.retranscribe.plan import RetranscriptionResult
from resources.transcriptions.rows import MediaVersions
from ytcaption.domain.caption_choice import CaptionsPolicy

MOST_ANEW = 1_000


class MediaVersionsRead(BaseModel):
    """A media and its transcriptions, as far as you have asked for them."""

    media: MediaRead
    versions: Annotated[int, Field(description="In whatever status.")]
    completed: Annotated[int, Field(description="Of these.")]
    latest: Annotated[
        str | None, Field(description="Id of the one that was completed last; null: none is.")
    ]
    versions_url: Annotated[str, Field(description="All of them, the newest first.")]
    latest_url: Annotated[str, Field(description="The result of `latest`, whichever that is.")]

    @classmethod
    def of(cls, found: MediaVersions, path: str) -> Self:
        """From the reading, below the path of the media."""
        return cls(
            media=MediaRead.of(found.media),
            versions=found.number,
            completed=found.completed,
            latest=found.latest.id if found.latest else None,
            versions_url=f"{path}/transcripts",
            latest_url=f"{path}/transcripts/latest",
        )


class RetranscriptionAsked(StorableBody):
    """Which transcriptions are to be made anew, and how; what is left out stays as it was."""

    where: Annotated[
        str | None,
        Field(
            max_length=MAX_LENGTH,
            description="An expression over columns, such as `model = 'base'`; the documentation "
            "lists them. Left out with `changed`: all that have changed.",
            examples=["model = 'base' and created_at < '2026-06-01'"],
        ),
    ] = None
    changed: Annotated[
        bool, Field(description="Only those whose source has other audio since.")
    ] = False
    model: Annotated[
        str | None, Field(max_length=60, description="One of `/api/v1/options`.", examples=["base"])
    ] = None
    language: Annotated[
        str | None, Field(max_length=40, description="A code or a name; `auto`: detected.")
    ] = None
    captions: Annotated[
        CaptionsPolicy | None, Field(description="As with a request for a transcription.")
    ] = None
    dry_run: Annotated[bool, Field(description="Only tell what would be made.")] = False
    limit: Annotated[int, Field(ge=1, le=MOST_ANEW, description="Most that are made.")] = MOST_ANEW
    cursor: Annotated[
        str | None,
        Field(max_length=200, description="`next_cursor` of the answer before, to go on."),
    ] = None


class AnewKind(BaseModel):
    """Which becomes what."""

    made_by: Annotated[
        str | None, Field(description="Model of the version before; null: captions.")
    ]
    model: Annotated[str, Field(description="That is asked for.")]
    language: str | None
    number: int
    audio_s: float


class AnewLeftOut(BaseModel):
    """What is not made, and why."""

    reason: Annotated[str, Field(description="For a person.")]
    number: int


class RetranscriptionRead(BaseModel):
    """What is made, or would be."""

    dry_run: bool
    looked_at: Annotated[int, Field(description="Transcriptions that fit.")]
    number: Annotated[int, Field(description="Versions that are queued.")]
    audio_s: Annotated[float, Field(description="Seconds of audio of all of them.")]
    ids: Annotated[list[str], Field(description="Theirs, 1,000 at most.")]
    kinds: list[AnewKind]
    joined: Annotated[
        int, Field(description="Versions that are there already, and now yours, too.")
    ]
    left_out: list[AnewLeftOut]
    next_cursor: Annotated[str | None, Field(description="Null: all were looked at.")]

    @classmethod
    def of(cls, found: RetranscriptionResult, *, dry_run: bool) -> Self:
        """From what came of it."""
        return cls(
            dry_run=dry_run,
            looked_at=found.examined,
            number=found.number,
            audio_s=round(found.audio_s, 3),
            ids=found.ids,
            kinds=[
                AnewKind(
                    **group.__dict__,
                    number=number,
                    audio_s=round(found.audio_s_by_group[group], 3),
                )
                for group, number in found.groups.most_common()
            ],
            joined=found.joined,
            left_out=[
                AnewLeftOut(reason=reason, number=number)
                for reason, number in found.excluded.most_common()
            ],
            next_cursor=found.after,
        )
