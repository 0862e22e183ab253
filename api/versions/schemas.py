"""Bodies of requests and responses about versions of a media item and about retranscription."""

from typing import Annotated, Self

from pydantic import BaseModel, Field

from api.http.fields import StorableBody, old_name
from api.transcriptions.schemas import Media
from resources.retranscribe.filter import MAX_LENGTH
from resources.retranscribe.plan import RetranscriptionResult
from resources.transcriptions.rows import MediaVersions
from ytcaption.domain.caption_choice import CaptionsPolicy

MAX_RETRANSCRIPTIONS = 1_000


class MediaVersionsResponse(BaseModel):
    """A media item and its transcriptions, as far as you have requested them."""

    media: Media
    versions: Annotated[int, Field(description="Number of transcriptions, in any status.")]
    completed: Annotated[int, Field(description="How many of them are completed.")]
    latest: Annotated[
        str | None, Field(description="Id of the one that was completed last; null: none is.")
    ]
    versions_url: Annotated[str, Field(description="All of them, the newest first.")]
    latest_url: Annotated[str, Field(description="The result of `latest`, whichever that is.")]

    @classmethod
    def of(cls, versions: MediaVersions, path: str) -> Self:
        """Return the schema of the versions of a media item.

        Args:
            path: of the media.
        """
        return cls(
            media=Media.of(versions.media),
            versions=versions.number,
            completed=versions.completed,
            latest=versions.latest.id if versions.latest else None,
            versions_url=f"{path}/versions",
            latest_url=f"{path}/versions/latest",
        )


class RetranscriptionRequest(StorableBody):
    """Which transcriptions to make again, and how; a field that is left out stays as it was."""

    where: Annotated[
        str | None,
        Field(
            max_length=MAX_LENGTH,
            description="An expression over columns, such as `model = 'base'`; the documentation "
            "lists them. Optional with `changed`: all that have changed.",
            examples=["model = 'base' and created_at < '2026-06-01'"],
        ),
    ] = None
    changed: Annotated[
        bool, Field(description="Only those whose source has other audio by now.")
    ] = False
    model: Annotated[
        str | None, Field(max_length=60, description="One of `/api/v1/options`.", examples=["base"])
    ] = None
    language: Annotated[
        str | None, Field(max_length=40, description="A code or a name; `auto`: detected.")
    ] = None
    captions: Annotated[
        CaptionsPolicy | None, Field(description="As in a request for a transcription.")
    ] = None
    dry_run: Annotated[bool, Field(description="Only report what would be queued.")] = False
    limit: Annotated[
        int, Field(ge=1, le=MAX_RETRANSCRIPTIONS, description="Maximum versions to queue.")
    ] = MAX_RETRANSCRIPTIONS
    cursor: Annotated[
        str | None,
        Field(max_length=200, description="`next_cursor` of the previous response, to continue."),
    ] = None


class RetranscriptionGroup(BaseModel):
    """New versions with the same model and language, of versions made by the same model."""

    made_by: Annotated[
        str | None, Field(description="Model of the previous version; null: captions.")
    ]
    model: Annotated[str, Field(description="Model of the new version.")]
    language: str | None
    number: int
    audio_s: float


class RetranscriptionExclusion(BaseModel):
    """Transcriptions that are not made again, and why."""

    reason: Annotated[str, Field(description="In words.")]
    number: int


class RetranscriptionResponse(BaseModel):
    """What is queued, or would be."""

    dry_run: bool
    examined: Annotated[int, Field(description="Transcriptions that match.")]
    number: Annotated[int, Field(description="Versions that are queued.")]
    audio_s: Annotated[float, Field(description="Seconds of audio of all of them.")]
    ids: Annotated[list[str], Field(description="Their ids, at most 1,000.")]
    kinds: list[RetranscriptionGroup]
    joined: Annotated[
        int, Field(description="Versions that existed already and are now yours, too.")
    ]
    excluded: list[RetranscriptionExclusion]
    next_cursor: Annotated[str | None, Field(description="Null: all were examined.")]

    @old_name
    @property
    def looked_at(self) -> int:
        """Old name of `examined`."""
        return self.examined

    @old_name
    @property
    def left_out(self) -> list[RetranscriptionExclusion]:
        """Old name of `excluded`."""
        return self.excluded

    @classmethod
    def of(cls, result: RetranscriptionResult, *, dry_run: bool) -> Self:
        """Return the schema of a retranscription."""
        return cls(
            dry_run=dry_run,
            examined=result.examined,
            number=result.number,
            audio_s=round(result.audio_s, 3),
            ids=result.ids,
            kinds=[
                RetranscriptionGroup(
                    **kind.__dict__,
                    number=number,
                    audio_s=round(result.audio_s_by_group[kind], 3),
                )
                for kind, number in result.groups.most_common()
            ],
            joined=result.joined,
            excluded=[
                RetranscriptionExclusion(reason=reason, number=number)
                for reason, number in result.excluded.most_common()
            ],
            next_cursor=result.after,
        )
