"""Messages between a run and the processes that download media and read lists.

The parent writes one job on the child's standard input, the child writes events on its standard
output. Each message is one line of JSON and one dataclass here. Both ends validate what they read:
the child parses untrusted pages, so the parent takes nothing from it but these events.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, ValidationError

from ytcaption.domain.caption_choice import CaptionChoice, CaptionsWanted
from ytcaption.domain.channels.channel import LiveStatus
from ytcaption.domain.media.media import MediaInfo


@dataclass(frozen=True)
class ClientIdentity:
    """What yt-dlp shows a site of its client, as the operator has set it.

    Attributes:
        cookies: of the source's site alone, as a Netscape file.
        clients: yt-dlp's names of YouTube's players; empty: yt-dlp's own choice.
        po_token_provider: the package of the one plugin that is loaded.
        po_token_url: the server that the plugin asks for tokens.
    """

    cookies: str | None = field(default=None, repr=False)
    user_agent: str | None = None
    clients: tuple[str, ...] = ()
    po_token_provider: str | None = None
    po_token_url: str | None = None


NO_IDENTITY = ClientIdentity()


@dataclass(frozen=True)
class DownloadJob:
    """One download.

    Attributes:
        extractor: yt-dlp's key of the extractor that resolved the URL.
        proxy: URL of the egress proxy, with its token.
        max_bytes: largest media.
        max_audio_s: longest media, as far as the source states its length.
        captions: captions to use instead of the audio; None: do not look for any.
        with_audio: False: captions or nothing.
        reference: captions to fetch beside the audio; None: none.
    """

    media_id: str
    url: str
    kind: Literal["site", "direct"]
    extractor: str
    proxy: str = field(repr=False)
    max_bytes: int
    max_audio_s: float
    socket_timeout_s: float
    captions: CaptionsWanted | None = None
    with_audio: bool = True
    reference: CaptionsWanted | None = None
    identity: ClientIdentity = NO_IDENTITY


@dataclass(frozen=True)
class ListingJob:
    """One list to read with yt-dlp.

    Attributes:
        kind: `playlist`: a page or manifest that yt-dlp's generic extractor lists.
        extractor: yt-dlp's key of the extractor that resolved the URL.
        proxy: URL of the egress proxy, with its token.
        max_items: most items of the whole list; later ones are dropped.
        start: position of the first item to return, from 0.
        size: items a page.
        each_list: return only the first `size` items of each list of a channel that has several
            (tabs, seasons).
        one_is_a_list: accept a page with one player as a list of one item: it was longer before.
        max_bytes: largest file that the process may write.
    """

    url: str
    kind: Literal["site", "playlist"]
    extractor: str | None
    proxy: str = field(repr=False)
    socket_timeout_s: float
    max_items: int
    start: int = 0
    size: int = 100
    each_list: bool = False
    one_is_a_list: bool = False
    identity: ClientIdentity = NO_IDENTITY
    max_bytes: int = 0


@dataclass(frozen=True)
class FeedJob:
    """One feed to parse, whose bytes are in the working folder.

    Attributes:
        url: relative links are resolved against it.
        max_bytes: largest file that the process may write.
    """

    url: str
    kind: Literal["feed"] = "feed"
    max_bytes: int = 0


@dataclass(frozen=True)
class Failed:
    """The job failed.

    Attributes:
        code: of a `YtcaptionError`.
        message: for a person.
        retry_after_s: as the site asks; None: it does not say.
    """

    code: str
    message: str
    retry_after_s: float | None = None
    event: Literal["failed"] = "failed"


@dataclass(frozen=True)
class MediaFound:
    """The media is known and its bytes begin."""

    event: Literal["found"] = "found"


@dataclass(frozen=True)
class Progress:
    """Bytes so far, and in all where that is known."""

    done: int
    total: int | None
    event: Literal["progress"] = "progress"


@dataclass(frozen=True)
class ReferenceFile:
    """Captions that lie in the working folder beside the audio.

    Attributes:
        language: Whisper's code.
    """

    extension: str
    language: str


@dataclass(frozen=True)
class AudioDone:
    """The media file is in the working folder.

    Attributes:
        choice: why no captions are used; None: nobody looked for any.
    """

    extension: str
    info: MediaInfo
    size_bytes: int
    choice: CaptionChoice | None = None
    reference: ReferenceFile | None = None
    event: Literal["done"] = "done"


@dataclass(frozen=True)
class CaptionsDone:
    """The job ended without audio.

    Attributes:
        extension: of the track in the working folder; None: there are no captions.
    """

    info: MediaInfo
    choice: CaptionChoice
    extension: str | None
    event: Literal["captions"] = "captions"


@dataclass(frozen=True)
class ListEntry:
    """One item as a list or feed states it. All of it is untrusted.

    Attributes:
        is_page: the URL is the item's page, which may have no media.
        timestamp: of publishing, in seconds since 1970.
        unavailable: why it cannot be had, such as `private`.
        audio_bytes: size of the media, as stated.
    """

    url: str
    is_page: bool = False
    title: str | None = None
    timestamp: float | None = None
    duration_s: float | None = None
    audio_bytes: int | None = None
    live: LiveStatus | None = None
    unavailable: str | None = None


@dataclass(frozen=True)
class ListAbout:
    """What a list says of itself.

    Attributes:
        total: number of its items.
    """

    title: str | None
    channel: str | None
    channel_id: str | None
    total: int | None
    event: Literal["about"] = "about"


@dataclass(frozen=True)
class ListPage:
    """Items of a list in its order.

    Attributes:
        start: position of the first of them, from 0.
        has_more: other items follow.
    """

    items: tuple[ListEntry, ...]
    start: int
    has_more: bool
    event: Literal["page"] = "page"


@dataclass(frozen=True)
class FeedRead:
    """What a feed lists.

    Attributes:
        next_url: where older items are.
    """

    items: tuple[ListEntry, ...]
    title: str | None
    next_url: str | None
    event: Literal["feed"] = "feed"


@dataclass(frozen=True)
class NotAFeed:
    """The bytes are no feed."""

    event: Literal["no_feed"] = "no_feed"


@dataclass(frozen=True)
class ListDone:
    """The list has been read to its end."""

    event: Literal["done"] = "done"


DownloadEvent = MediaFound | Progress | AudioDone | CaptionsDone | Failed
ListingEvent = ListAbout | ListPage | FeedRead | NotAFeed | ListDone | Failed
Message = DownloadJob | ListingJob | FeedJob | DownloadEvent | ListingEvent


def encode(message: Message) -> bytes:
    """Return the message as one line of JSON in ASCII."""
    return json.dumps(message, default=vars, separators=(",", ":")).encode() + b"\n"


def _reader(kind: Any) -> Callable[[bytes], Any]:
    """Return a function that parses one line as a message of this kind, or raises ValueError."""
    adapter = TypeAdapter(kind)

    def read(line: bytes) -> Any:
        try:
            # By the json module: it passes on halves of surrogate pairs, which titles may hold.
            return adapter.validate_python(json.loads(line))
        except ValidationError as error:
            # Without its cause, which quotes values: cookies may be among them.
            raise ValueError(f"{error.error_count()} fields of a message are wrong") from None

    return read


read_download_job: Callable[[bytes], DownloadJob] = _reader(DownloadJob)
read_listing_job: Callable[[bytes], ListingJob | FeedJob] = _reader(
    Annotated[ListingJob | FeedJob, Field(discriminator="kind")]
)
read_download_event: Callable[[bytes], DownloadEvent] = _reader(
    Annotated[DownloadEvent, Field(discriminator="event")]
)
read_listing_event: Callable[[bytes], ListingEvent] = _reader(
    Annotated[ListingEvent, Field(discriminator="event")]
)
