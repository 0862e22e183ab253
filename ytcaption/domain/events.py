"""The types of events. Events are kept for ever: their data holds ids, codes and numbers, no
text."""

from enum import StrEnum

SCHEMA_VERSION = 2
"""Version of new events. Events of version 1 hold too little to rebuild a row."""


class EventType(StrEnum):
    """The types of events. The values are public and never change.

    `TranscriptionCreated` begins the history of a transcription; `SnapshotTaken` begins it for one
    that is older than complete events. The breakers' events belong to a site.
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
