"""What a client is told of a stored audio: its media type and a file name's extension."""

from api.http.errors import NotCompleted
from resources.transcriptions.rows import MediaRow, TranscriptionRow
from ytcaption.domain.media.media import StoredAudio

_TYPES = {
    "aac": ("audio/aac", ".aac"),
    "ac3": ("audio/ac3", ".ac3"),
    "aiff": ("audio/aiff", ".aiff"),
    "amr": ("audio/AMR", ".amr"),
    "asf": ("audio/x-ms-wma", ".wma"),
    "avi": ("video/x-msvideo", ".avi"),
    "caf": ("audio/x-caf", ".caf"),
    "eac3": ("audio/eac3", ".eac3"),
    "flac": ("audio/flac", ".flac"),
    "flv": ("video/x-flv", ".flv"),
    "mov": ("audio/mp4", ".m4a"),
    "mp3": ("audio/mpeg", ".mp3"),
    "mpeg": ("video/mpeg", ".mpg"),
    "mpegts": ("video/mp2t", ".ts"),
    "ogg": ("audio/ogg", ".ogg"),
    "w64": ("audio/x-w64", ".w64"),
    "wav": ("audio/wav", ".wav"),
}
"""By the first name of FFmpeg's demuxer. Containers that may hold pictures as well are named by the
sound in them: all of a file is what its source gave as the best audio."""

_WEB_CODECS = frozenset({"opus", "vorbis"})

_WEBM, _MATROSKA = ("audio/webm", ".webm"), ("audio/x-matroska", ".mka")
_UNKNOWN = ("application/octet-stream", ".bin")

MEDIA_TYPES = sorted({name for name, _ in (*_TYPES.values(), _WEBM, _MATROSKA, _UNKNOWN)})
"""All that `media_type` gives."""


def media_type(audio: StoredAudio) -> tuple[str, str]:
    """For `Content-Type`, and the extension with its dot."""
    container = audio.container.partition(",")[0]
    if container == "matroska":
        return _WEBM if audio.codec in _WEB_CODECS else _MATROSKA
    return _TYPES.get(container, _UNKNOWN)


def stored_audio(row: TranscriptionRow, media: MediaRow) -> StoredAudio:
    """The media's audio.

    Raises:
        NotCompleted: it is not stored, or not yet.
    """
    if media.audio is not None:
        return media.audio
    if row.provenance is not None and row.provenance.source != "asr":
        message = (
            "The text is the source's own captions, so its audio was not downloaded. Ask with "
            "captions=never to have it heard."
        )
    elif row.status.is_final:
        message = "The audio is not stored. Retry the transcription to have it downloaded anew."
    else:
        message = (
            f"The transcription is {row.status.value}: its audio is not stored yet. Ask again."
        )
    raise NotCompleted(message, row.status, None)
