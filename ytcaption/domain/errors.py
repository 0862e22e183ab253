"""The errors that users can meet.

YtcaptionError
├── InputError            the request cannot be carried out; repeating it changes nothing
│   ├── InvalidUrl, UnsupportedSite, BlockedAddress, PlaylistUrl, SingleMedia
│   ├── UnknownModel, UnknownLanguage, InvalidOption, FileUnreadable, InvalidCursor
│   ├── InvalidSearch, SearchTooBroad
│   ├── UploadTooLarge, MalformedUpload, IdempotencyMismatch
│   └── OptionsMismatch
├── SourceError           the site or server did not deliver the media
│   ├── MediaNotFound, LiveNotOver, DrmProtected
│   ├── MediaPrivate: MediaMembersOnly
│   ├── MediaRemoved: MediaCopyright
│   ├── MediaRestricted: MediaAgeRestricted, MediaRegionRestricted
│   ├── MediaTooLarge, MediaTooLong, CaptionsUnavailable
│   ├── PoTokenMissing, JsRuntimeMissing
│   ├── SourceBlocked, SourceUnavailable                                      (retryable)
│   └── NetworkUnavailable, ProxyUnavailable, DownloadCrashed                 (retryable)
├── AudioError            the bytes hold no audio that can be transcribed
│   └── EmptyFile, NotMedia, NoAudioTrack, AudioTruncated, AudioUndecodable
├── ModelError            the weights
│   └── ModelUnavailable (retryable), ModelCorrupt
├── StorageError          databases and stores
│   └── DiskFull (retryable), ObjectNotFound, ObjectCorrupt, ObjectStoreUnavailable (retryable),
│       DatabaseUnavailable (retryable): DatabaseReadOnly, LakeUnavailable (retryable),
│       DagsterUnavailable (retryable), SecretUnreadable
├── StateError            the state does not allow the operation
│   ├── TranscriptionNotFound, TranscriptionErased, TranscriptionBusy (retryable)
│   ├── ResultNotReady, AlreadyCompleted, ReportNotFound
│   ├── WebhookNotFound, DeliveryNotFound, WebhookDisabled, TooManyWebhooks
│   ├── ChannelNotFound, ChannelBusy (retryable)
│   ├── ClaimLost
│   │   ├── SourcePaused (retryable): SourceThrottled
│   │   └── TookTooLong
│   └── IntakePaused, BackupRunning                                           (retryable)
├── AccessError           the caller may not do this
│   ├── Unauthenticated, Forbidden, ApiKeyNotFound
│   └── RateLimited (retryable), QuotaExceeded (retryable)
├── QueryError            analytics SQL that was refused or failed
│   └── ViewNotFound
└── SetupError            this machine is not ready: port, home, second `up`, Postgres
    └── OutOfMemory (retryable)

`code` is stable: clients match on it. `str(error)` is one or two sentences for a person: what
happened and what to do. `retryable` says whether the next attempt may succeed unchanged.
No class knows HTTP.
"""

from collections.abc import Iterator
from typing import ClassVar, Self


class YtcaptionError(Exception):
    """Root of all errors that are reported to users.

    Attributes:
        retry_after_s: the earliest retry that the refusing side requested; None: it requested none.
    """

    code: ClassVar[str] = "error"
    retryable: ClassVar[bool] = False
    retry_after_s: float | None = None

    @property
    def message(self) -> str:
        """What happened and what to do, for a person."""
        return str(self)

    @classmethod
    def kinds(cls) -> "Iterator[type[YtcaptionError]]":
        """Yield this class and all below it, general ones first."""
        yield cls
        for each in cls.__subclasses__():
            yield from each.kinds()


class InputError(YtcaptionError):
    """The request cannot be carried out."""

    code = "invalid_input"


class InvalidUrl(InputError):
    """Not an http(s) URL that can be opened."""

    code = "invalid_url"


class UnsupportedSite(InputError):
    """The host is not on the site list and the URL is no media file."""

    code = "unsupported_site"


class BlockedAddress(InputError):
    """The host leads to an address that is not public."""

    code = "blocked_address"


class PlaylistUrl(InputError):
    """The URL is a list of media, not one."""

    code = "playlist_url"


class SingleMedia(InputError):
    """The URL is one media item, not a list that could be a channel."""

    code = "single_media"


class UnknownModel(InputError):
    """The model is not on the settings' list."""

    code = "unknown_model"


class UnknownLanguage(InputError):
    """Whisper does not know this language."""

    code = "unknown_language"


class InvalidOption(InputError):
    """An option has a value that is not allowed."""

    code = "invalid_option"


class FileUnreadable(InputError):
    """A local file is missing, a folder, or may not be read."""

    code = "file_unreadable"


class InvalidCursor(InputError):
    """A page cursor that no list returned."""

    code = "invalid_cursor"


class InvalidSearch(InputError):
    """The search is empty, or has too many terms."""

    code = "invalid_search"


class SearchTooBroad(InputError):
    """The search matches so much that reading it takes too long."""

    code = "search_too_broad"


class SemanticUnavailable(InputError):
    """Semantic search is not installed here, or the database does not support it."""

    code = "semantic_unavailable"


class UploadTooLarge(InputError):
    """The upload has more bytes than allowed."""

    code = "upload_too_large"


class MalformedUpload(InputError):
    """The form cannot be parsed, or is incomplete."""

    code = "malformed_upload"


class IdempotencyMismatch(InputError):
    """One Idempotency-Key with two different bodies."""

    code = "idempotency_mismatch"


class OptionsMismatch(InputError):
    """One id with two sets of options, which is never shared."""

    code = "options_mismatch"


class SourceError(YtcaptionError):
    """The site or server did not deliver the media."""

    code = "source_error"


class MediaNotFound(SourceError):
    """404, 410 and similar answers."""

    code = "media_not_found"


class MediaPrivate(SourceError):
    """Private, or shown only after a login."""

    code = "media_private"


class MediaMembersOnly(MediaPrivate):
    """For members, subscribers or paying customers only."""

    code = "media_members_only"


class MediaRemoved(SourceError):
    """Deleted by its owner or the site."""

    code = "media_removed"


class MediaCopyright(MediaRemoved):
    """Taken down after a copyright claim."""

    code = "media_copyright"


class MediaRestricted(SourceError):
    """Withheld, for legal or similar reasons."""

    code = "media_restricted"


class MediaAgeRestricted(MediaRestricted):
    """For adults with an account only."""

    code = "media_age_restricted"


class MediaRegionRestricted(MediaRestricted):
    """Not available in the country of this machine."""

    code = "media_region_restricted"


class LiveNotOver(SourceError):
    """A live stream or premiere that has not ended."""

    code = "live_not_over"


class DrmProtected(SourceError):
    """Encrypted media."""

    code = "drm_protected"


class MediaTooLarge(SourceError):
    """More bytes than allowed."""

    code = "media_too_large"


class MediaTooLong(SourceError):
    """More seconds of audio than allowed."""

    code = "media_too_long"


class CaptionsUnavailable(SourceError):
    """Only captions were requested, and there are none."""

    code = "captions_unavailable"


class PoTokenMissing(SourceError):
    """YouTube requires a proof-of-origin token."""

    code = "po_token_missing"


class JsRuntimeMissing(SourceError):
    """Finding the media requires running the site's player, for which this machine has no
    runtime."""

    code = "js_runtime_missing"


class SourceBlocked(SourceError):
    """The site refuses this machine: bot check, captcha, 403, 429."""

    code = "source_blocked"
    retryable = True


class SourceUnavailable(SourceError):
    """The network or the site is down: timeouts, resets, 5xx."""

    code = "source_unavailable"
    retryable = True


class NetworkUnavailable(SourceError):
    """This machine has no network or no name server; the site is not at fault."""

    code = "network_unavailable"
    retryable = True


class ProxyUnavailable(SourceError):
    """The operator's proxy does not work; the site is not at fault."""

    code = "proxy_unavailable"
    retryable = True


class DownloadCrashed(SourceError):
    """yt-dlp's process died; the site is not at fault."""

    code = "download_crashed"
    retryable = True


class AudioError(YtcaptionError):
    """The bytes hold no audio that can be transcribed."""

    code = "audio_error"


class EmptyFile(AudioError):
    """Zero bytes."""

    code = "empty_file"

    @classmethod
    def named(cls, name: str = "The file") -> Self:
        """Return the error of a file of this name."""
        return cls(f"{name} is empty (0 bytes). Download or copy it again.")


class NotMedia(AudioError):
    """Not a container that PyAV reads."""

    code = "not_media"


class NoAudioTrack(AudioError):
    """Media without an audio track."""

    code = "no_audio_track"


class AudioTruncated(AudioError):
    """The file ends before its audio does."""

    code = "audio_truncated"


class AudioUndecodable(AudioError):
    """An audio track that cannot be decoded."""

    code = "audio_undecodable"


class ModelError(YtcaptionError):
    """An error of the model's weights."""

    code = "model_error"


class ModelUnavailable(ModelError):
    """The weights cannot be fetched from any source."""

    code = "model_unavailable"
    retryable = True


class ModelCorrupt(ModelError):
    """The weights do not match the pinned hash."""

    code = "model_corrupt"


class StorageError(YtcaptionError):
    """An error of a database or store."""

    code = "storage_error"


class DiskFull(StorageError):
    """No space left."""

    code = "disk_full"
    retryable = True


class ObjectNotFound(StorageError):
    """The object store has no such key."""

    code = "object_not_found"


class ObjectCorrupt(StorageError):
    """The bytes differ from those that were written."""

    code = "object_corrupt"


class ObjectStoreUnavailable(StorageError):
    """The object store does not answer."""

    code = "object_store_unavailable"
    retryable = True


class DatabaseUnavailable(StorageError):
    """Postgres does not answer."""

    code = "database_unavailable"
    retryable = True


class DatabaseReadOnly(DatabaseUnavailable):
    """Postgres accepts no changes: a standby, or set read-only."""

    code = "database_read_only"


class DagsterUnavailable(StorageError):
    """Dagster's storage does not answer."""

    code = "dagster_unavailable"
    retryable = True


class LakeUnavailable(StorageError):
    """The lake cannot be attached or written."""

    code = "lake_unavailable"
    retryable = True


class SecretUnreadable(StorageError):
    """A secret in the database was encrypted with another key."""

    code = "secret_unreadable"


class StateError(YtcaptionError):
    """The transcription's state does not allow the operation."""

    code = "state_error"


class TranscriptionNotFound(StateError):
    """There is no transcription with this id."""

    code = "transcription_not_found"


class TranscriptionErased(StateError):
    """The transcription was erased."""

    code = "transcription_erased"


class TranscriptionBusy(StateError):
    """Another run is working on it."""

    code = "transcription_busy"
    retryable = True


class AlreadyCompleted(StateError):
    """There is a result, and the request does not ask to replace it."""

    code = "already_completed"


class ResultNotReady(StateError):
    """The transcription is not completed, so there is no result."""

    code = "result_not_ready"


class ReportNotFound(StateError):
    """There is no library report of that day."""

    code = "report_not_found"


class WebhookNotFound(StateError):
    """There is no such webhook."""

    code = "webhook_not_found"


class DeliveryNotFound(StateError):
    """The webhook has no such delivery."""

    code = "delivery_not_found"


class WebhookDisabled(StateError):
    """Nothing is sent to it until it is enabled."""

    code = "webhook_disabled"


class TooManyWebhooks(StateError):
    """The owner has the maximum number of webhooks."""

    code = "too_many_webhooks"


class ChannelNotFound(StateError):
    """There is no channel with this id."""

    code = "channel_not_found"


class ChannelBusy(StateError):
    """Another run lists the channel, or it is being removed."""

    code = "channel_busy"
    retryable = True


class ClaimLost(StateError):
    """Another run has taken over, or it was canceled: this run must stop and publish nothing."""

    code = "claim_lost"


class SourcePaused(ClaimLost):
    """No download may start from this site now: the run releases its claim."""

    code = "source_paused"
    retryable = True


class SourceThrottled(SourcePaused):
    """Bulk work waits for the site, by the operator's settings."""

    code = "source_resting"


class TookTooLong(ClaimLost):
    """The time limit is reached."""

    code = "timeout"


class IntakePaused(StateError):
    """The operator accepts no requests at the moment."""

    code = "intake_paused"
    retryable = True


class BackupRunning(StateError):
    """Nothing is erased during a backup."""

    code = "backup_running"
    retryable = True


class AccessError(YtcaptionError):
    """The caller may not do this."""

    code = "access_denied"


class Unauthenticated(AccessError):
    """There is no key or token, or it is not valid."""

    code = "unauthenticated"


class Forbidden(AccessError):
    """The key or token lacks the scope."""

    code = "forbidden"


class ApiKeyNotFound(AccessError):
    """There is no such key."""

    code = "api_key_not_found"


class RateLimited(AccessError):
    """More requests than the key or address may send.

    Attributes:
        retry_after_s: until one more is allowed.
    """

    code = "rate_limited"
    retryable = True

    def __init__(self, message: str, retry_after_s: float = 60.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class QuotaExceeded(RateLimited):
    """More unfinished transcriptions, or minutes of audio a day, than the key may have."""

    code = "quota_exceeded"


class QueryError(YtcaptionError):
    """Analytics SQL that was refused or failed."""

    code = "query_error"


class ViewNotFound(QueryError):
    """The lake has no such view."""

    code = "view_not_found"


class SetupError(YtcaptionError):
    """This machine is not ready: a port, the home, a second `up`, Postgres."""

    code = "setup_error"


class OutOfMemory(SetupError):
    """The system has ended a process, since memory ran out."""

    code = "out_of_memory"
    retryable = True
