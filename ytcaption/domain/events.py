"""What happens, by name. Events are for ever: their data holds ids, codes and numbers, no text."""

from enum import StrEnum

SCHEMA_VERSION = 2
"""Of the events that are written now. Those of version 1 tell too little to rebuild a row from."""


class EventType(StrEnum):
    """The kinds of events. Values are public, and for ever.

    `TranscriptionCreated` begins what is told of a transcription; `SnapshotTaken` does so for one
    that is older than events that tell all. The breakers' are of a site, and of no transcription.
    """

    TRANSCRIPTION_CREATED = "TranscriptionCreated"
    SNAPSHOT_TAKEN = "SnapshotTaken"
    REQUESTED = "Requested"
    REQUEST_WITHDRAWN = "RequestWithdrawn"
    RESULT_DISCARDED = "ResultDiscarded"
    QUEUED = "Queued"
    STARTED = "Started"
    AUDIO_DOWNLOADED = "AudioDownloaded"
    CAPTIONS_DOWNLOADED = "CaptionsDownloaded"
    PROGRESS = "Progress"
    TRANSCRIPT_STORED = "TranscriptStored"
    DOCUMENT_REBUILT = "DocumentRebuilt"
    TRANSCRIPTION_COMPLETED = "TranscriptionCompleted"
    TRANSCRIPTION_FAILED = "TranscriptionFailed"
    RETRIED = "Retried"
    GIVEN_BACK = "GivenBack"
    RELEASED = "Released"
    CANCELED = "Canceled"
    ERASED = "Erased"
    BREAKER_OPENED = "BreakerOpened"
    BREAKER_PROBED = "BreakerProbed"
    BREAKER_CLOSED = "BreakerClosed"
