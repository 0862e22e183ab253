"""Every error a user can meet.

YtcaptionError
├── InputError            what was asked cannot be done; asking again changes nothing
│   ├── InvalidUrl, UnsupportedSite, BlockedAddress, PlaylistUrl, SingleMedia
│   ├── UnknownModel, UnknownLanguage, InvalidOption, FileUnreadable, InvalidCursor
│   ├── InvalidSearch, SearchTooBroad
│   ├── UploadTooLarge, MalformedUpload, IdempotencyMismatch
│   └── OptionsMismatch
├── SourceError           the site or server did not give the media
│   ├── MediaNotFound, LiveNotOver, DrmProtected
│   ├── MediaPrivate: MediaMembersOnly
│   ├── MediaRemoved: MediaCopyright
│   ├── MediaRestricted: MediaAgeRestricted, MediaRegionRestricted
│   ├── MediaTooLarge, MediaTooLong, CaptionsUnavailable
│   ├── PoTokenMissing, JsRuntimeMissing
│   ├── SourceBlocked, SourceUnavailable                                      (retryable)
│   └── ProxyUnavailable, DownloadCrashed                                     (retryable)
├── AudioError            the bytes are no audio that can be heard
│   └── EmptyFile, NotMedia, NoAudioTrack, AudioTruncated, AudioUndecodable
├── ModelError            the weights
│   └── ModelUnavailable (retryable), ModelCorrupt
├── StorageError          where things are kept
│   └── DiskFull (retryable), ObjectNotFound, ObjectCorrupt, ObjectStoreUnavailable (retryable),
│       DatabaseUnavailable (retryable), LakeUnavailable (retryable),
│       DagsterUnavailable (retryable), SecretUnreadable
├── StateError            the request is not in the state this needs
│   ├── TranscriptionNotFound, TranscriptionErased, TranscriptionBusy, ResultNotReady
│   ├── AlreadyCompleted, ReportNotFound
│   ├── WebhookNotFound, DeliveryNotFound, WebhookDisabled, TooManyWebhooks
│   ├── ChannelNotFound, ChannelBusy (retryable)
│   ├── ClaimLost
│   │   ├── SourcePaused (retryable): SourceResting
│   │   └── TookTooLong
│   └── IntakePaused (retryable)
├── AccessError           who asks may not
│   ├── Unauthenticated, Forbidden, ApiKeyNotFound
│   └── RateLimited (retryable), QuotaExceeded (retryable)
├── QueryError            analytics SQL that is refused or fails
│   └── ViewNotFound
└── SetupError            this machine is not ready: port, home, second `up`, Postgres

`code` is stable: clients match on it. `str(error)` is one or two sentences for a person: what
happened and what to do. `retryable` says whether the next attempt may succeed unchanged.
No class knows HTTP.
"""

from collections.abc import Iterator
from typing import ClassVar


class YtcaptionError(Exception):
    """Root of all errors that a user is told about.

    Attributes:
        retry_after_s: whoever refused wants to be asked no sooner; None: they did not say.
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
        """This class and all below it, those that are more general first."""
        yield cls
        for each in cls.__subclasses__():
            yield from each.kinds()


class InputError(YtcaptionError):
    """What was asked cannot be done."""

    code = "invalid_input"


class InvalidUrl(InputError):
    """Not an http(s) URL that can be opened."""

    code = "invalid_url"


class UnsupportedSite(InputError):
    """The host is on no site list and the URL is no media file."""

    code = "unsupported_site"


class BlockedAddress(InputError):
    """The host leads to an address that is not public."""

    code = "blocked_address"


class PlaylistUrl(InputError):
    """The URL is a list of media, not one."""

    code = "playlist_url"


class SingleMedia(InputError):
    """The URL is one media, and no list that a channel could be."""

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
    """A page that no list of ours has given."""

    code = "invalid_cursor"


class InvalidSearch(InputError):
    """What is looked for is nothing, or too much at once."""

    code = "invalid_search"


class SearchTooBroad(InputError):
    """It finds so much that looking through it takes too long."""

    code = "search_too_broad"


class SemanticUnavailable(InputError):
    """Semantic search is not installed here, or its database cannot do it."""

    code = "semantic_unavailable"


class UploadTooLarge(InputError):
    """More bytes than an upload may have."""

    code = "upload_too_large"


class MalformedUpload(InputError):
    """A form that cannot be taken apart, or not all of one."""

    code = "malformed_upload"


class IdempotencyMismatch(InputError):
    """One Idempotency-Key, two different bodies."""

    code = "idempotency_mismatch"


class OptionsMismatch(InputError):
    """One id, two sets of options: never shared."""

    code = "options_mismatch"


class SourceError(YtcaptionError):
    """The site or server did not give the media."""

    code = "source_error"


class MediaNotFound(SourceError):
    """404 and the like."""

    code = "media_not_found"


class MediaPrivate(SourceError):
    """Private, or shown after a login only."""

    code = "media_private"


class MediaMembersOnly(MediaPrivate):
    """For members, subscribers or paying customers."""

    code = "media_members_only"


class MediaRemoved(SourceError):
    """Deleted by its owner or the site."""

    code = "media_removed"


class MediaCopyright(MediaRemoved):
    """Taken down for a claim of copyright."""

    code = "media_copyright"


class MediaRestricted(SourceError):
    """Withheld, for legal reasons and the like."""

    code = "media_restricted"


class MediaAgeRestricted(MediaRestricted):
    """For adults with an account."""

    code = "media_age_restricted"


class MediaRegionRestricted(MediaRestricted):
    """Not for the country of this machine."""

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
    """Captions alone were wanted, and there are none to take."""

    code = "captions_unavailable"


class PoTokenMissing(SourceError):
    """YouTube gives its media only to those who prove to be a browser."""

    code = "po_token_missing"


class JsRuntimeMissing(SourceError):
    """The site's player must be run to find its media, and cannot be here."""

    code = "js_runtime_missing"


class SourceBlocked(SourceError):
    """The site refuses this machine: bot check, captcha, 403, 429."""

    code = "source_blocked"
    retryable = True


class SourceUnavailable(SourceError):
    """The network or the site is down: timeouts, resets, 5xx."""

    code = "source_unavailable"
    retryable = True


class ProxyUnavailable(SourceError):
    """A proxy that the operator has set does not work: a fault of ours, not of the site."""

    code = "proxy_unavailable"
    retryable = True


class DownloadCrashed(SourceError):
    """yt-dlp's process died: a fault of ours, not of the site."""

    code = "download_crashed"
    retryable = True


class AudioError(YtcaptionError):
    """The bytes are no audio that can be heard."""

    code = "audio_error"


class EmptyFile(AudioError):
    """Zero bytes."""

    code = "empty_file"


class NotMedia(AudioError):
    """No container that PyAV reads."""

    code = "not_media"


class NoAudioTrack(AudioError):
    """Media without sound."""

    code = "no_audio_track"


class AudioTruncated(AudioError):
    """The file ends before its audio does."""

    code = "audio_truncated"


class AudioUndecodable(AudioError):
    """An audio track that cannot be decoded."""

    code = "audio_undecodable"


class ModelError(YtcaptionError):
    """The weights."""

    code = "model_error"


class ModelUnavailable(ModelError):
    """No source of the weights can be reached."""

    code = "model_unavailable"
    retryable = True


class ModelCorrupt(ModelError):
    """The weights are not the ones that were pinned."""

    code = "model_corrupt"


class StorageError(YtcaptionError):
    """Where things are kept."""

    code = "storage_error"


class DiskFull(StorageError):
    """No space left."""

    code = "disk_full"
    retryable = True


class ObjectNotFound(StorageError):
    """No such key in the object store."""

    code = "object_not_found"


class ObjectCorrupt(StorageError):
    """The bytes are not those that were written."""

    code = "object_corrupt"


class ObjectStoreUnavailable(StorageError):
    """The object store does not answer."""

    code = "object_store_unavailable"
    retryable = True


class DatabaseUnavailable(StorageError):
    """Postgres does not answer."""

    code = "database_unavailable"
    retryable = True


class DagsterUnavailable(StorageError):
    """Dagster's storage does not answer."""

    code = "dagster_unavailable"
    retryable = True


class LakeUnavailable(StorageError):
    """The lake cannot be attached or written."""

    code = "lake_unavailable"
    retryable = True


class SecretUnreadable(StorageError):
    """What is encrypted in the database was so with another key."""

    code = "secret_unreadable"


class StateError(YtcaptionError):
    """The transcription is not in the state this needs."""

    code = "state_error"


class TranscriptionNotFound(StateError):
    """No such id."""

    code = "transcription_not_found"


class TranscriptionErased(StateError):
    """It was there, and somebody had it erased."""

    code = "transcription_erased"


class TranscriptionBusy(StateError):
    """Another run is working on it."""

    code = "transcription_busy"


class AlreadyCompleted(StateError):
    """There is a result, and nobody said that it is to be made anew."""

    code = "already_completed"


class ResultNotReady(StateError):
    """Not completed, so there is no result."""

    code = "result_not_ready"


class ReportNotFound(StateError):
    """No report of the library of that day."""

    code = "report_not_found"


class WebhookNotFound(StateError):
    """No such webhook."""

    code = "webhook_not_found"


class DeliveryNotFound(StateError):
    """No such delivery of the webhook."""

    code = "delivery_not_found"


class WebhookDisabled(StateError):
    """Nothing is sent to it until it is enabled."""

    code = "webhook_disabled"


class TooManyWebhooks(StateError):
    """As many as one owner may have."""

    code = "too_many_webhooks"


class ChannelNotFound(StateError):
    """No channel of this id."""

    code = "channel_not_found"


class ChannelBusy(StateError):
    """Another run lists the channel, or it is being removed."""

    code = "channel_busy"
    retryable = True


class ClaimLost(StateError):
    """Another run has taken over, or it was canceled: this one must stop and publish nothing."""

    code = "claim_lost"


class SourcePaused(ClaimLost):
    """No download may start from this site now: the run gives back what it has claimed."""

    code = "source_paused"
    retryable = True


class SourceThrottled(SourcePaused):
    """Bulk work leaves the site alone for now, by the operator's settings."""

    code = "source_resting"


class TookTooLong(ClaimLost):
    """Its time is over."""

    code = "timeout"


class IntakePaused(StateError):
    """The operator takes no requests at the moment."""

    code = "intake_paused"
    retryable = True


class BackupRunning(StateError):
    """Nothing is erased while a backup is being made."""

    code = "backup_running"
    retryable = True


class AccessError(YtcaptionError):
    """Who asks may not."""

    code = "access_denied"


class Unauthenticated(AccessError):
    """No key or token, or one that does not hold."""

    code = "unauthenticated"


class Forbidden(AccessError):
    """The key or token has no scope for this."""

    code = "forbidden"


class ApiKeyNotFound(AccessError):
    """No such key."""

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
    """No such view of the lake."""

    code = "view_not_found"


class SetupError(YtcaptionError):
    """This machine is not ready: a port, the home, a second `up`, Postgres."""

    code = "setup_error"
