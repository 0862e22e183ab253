"""Transcripts as caption files for people: a folder per channel, files named by title."""

from collections.abc import Sequence

from resources.export.folder import INDEX, ExportFolder
from resources.export.selection import SelectedTranscription
from resources.object_store.store import ObjectStore
from ytcaption.domain.captions.formats import CaptionFormat, render
from ytcaption.domain.media.file_names import file_name, same_file
from ytcaption.domain.transcripts.transcript import Transcript
from ytcaption.settings.settings import Settings

_CHANNEL_BYTES, _TITLE_BYTES = 80, 110
_NO_CHANNEL = "no channel"


class CaptionExport:
    """Exports one transcription at a time."""

    def __init__(self, settings: Settings, formats: Sequence[CaptionFormat]) -> None:
        self._settings = settings
        self._objects = ObjectStore.from_settings(settings)
        self._formats = formats
        self.form = f"captions {' '.join(sorted(formats))} {settings.caption_style(None)}"

    def missing_requirement(self, item: SelectedTranscription) -> str | None:
        """Return why it cannot be exported; captions always can."""
        return None

    def export(self, item: SelectedTranscription, folder: ExportFolder) -> None:
        """Write a file per format.

        Raises:
            StorageError: the document cannot be read.
            and as `ExportFolder.write`.
        """
        data = self._objects.read_bytes(item.document_key, item.document_sha256)
        transcript = Transcript.from_json(data)
        style = self._settings.caption_style(transcript.text_language)
        preferred = _stem(item)
        stem = folder.stem(item.id, preferred)
        files = []
        for each in self._formats:
            files.append(f"{stem}{each.extension}")
            folder.write(files[-1], render(transcript, each, style).encode())
        folder.add(
            item.id,
            item.document_sha256,
            files,
            stem=stem,
            wanted=preferred,
            **index_fields(item),
        )

    def finish(self, folder: ExportFolder) -> None:
        """Do nothing: there is no common file."""


def index_fields(item: SelectedTranscription) -> dict[str, object]:
    """Return what the index says about the transcription."""
    return {
        "media_id": item.media_id,
        "title": item.title,
        "channel": item.channel,
        "language": item.language,
        "published_on": item.published_on,
        "duration_s": item.duration_s,
    }


def _stem(item: SelectedTranscription) -> str:
    channel = file_name(item.channel, _NO_CHANNEL, _CHANNEL_BYTES)
    if same_file(channel) == INDEX:  # a folder of that name would collide with the index
        channel = _NO_CHANNEL
    title = file_name(item.title, "", _TITLE_BYTES)
    return f"{channel}/{f'{title} [{item.media_id}]'.strip()}"
