"""Transcripts as caption files for people: a folder a channel, names of titles."""

from collections.abc import Sequence

from resources.export.folder import INDEX, ExportFolder
from resources.export.selection import Chosen
from resources.object_store.store import ObjectStore
from ytcaption.domain.captions.formats import CaptionFormat, render
from ytcaption.domain.media.file_names import file_name, same_file
from ytcaption.domain.transcripts.transcript import Transcript
from ytcaption.settings import Settings

_CHANNEL_BYTES, _TITLE_BYTES = 80, 110
_NO_CHANNEL = "no channel"


class CaptionExport:
    """One transcription at a time."""

    def __init__(self, settings: Settings, formats: Sequence[CaptionFormat]) -> None:
        self._settings = settings
        self._objects = ObjectStore.from_settings(settings)
        self._formats = formats
        self.form = f"captions {' '.join(sorted(formats))} {settings.caption_style(None)}"

    def what_is_missing(self, one: Chosen) -> str | None:
        """Why it cannot be exported."""
        return None

    def export(self, one: Chosen, folder: ExportFolder) -> None:
        """A file a format.

        Raises:
            StorageError: the document cannot be read.
            and as `ExportFolder.write`.
        """
        data = self._objects.read_bytes(one.document_key, one.document_sha256)
        transcript = Transcript.from_json(data)
        style = self._settings.caption_style(transcript.text_language)
        wanted = _stem(one)
        stem = folder.stem(one.id, wanted)
        files = []
        for each in self._formats:
            files.append(f"{stem}{each.extension}")
            folder.write(files[-1], render(transcript, each, style).encode())
        folder.done(one.id, one.document_sha256, files, stem=stem, wanted=wanted, **described(one))

    def finish(self, folder: ExportFolder) -> None:
        """Nothing is made of all together."""


def described(one: Chosen) -> dict[str, object]:
    """What the index tells of it."""
    return {
        "media_id": one.media_id,
        "title": one.title,
        "channel": one.channel,
        "language": one.language,
        "published_on": one.published_on,
        "duration_s": one.duration_s,
    }


def _stem(one: Chosen) -> str:
    channel = file_name(one.channel, _NO_CHANNEL, _CHANNEL_BYTES)
    if same_file(channel) == INDEX:  # a folder of that name would be in the index's way
        channel = _NO_CHANNEL
    title = file_name(one.title, "", _TITLE_BYTES)
    return f"{channel}/{f'{title} [{one.media_id}]'.strip()}"
