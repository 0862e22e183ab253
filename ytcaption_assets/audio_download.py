"""Asset `audio_download`: request -> partition -> *audio* -> transcript -> parquet -> query."""

import hashlib
from pathlib import Path

import dagster as dg

from resources.audio_decoder import AudioDecoder
from resources.object_store import ObjectStore, audio_key, upload_key
from resources.request_rows import MediaRow
from resources.request_store import RequestStore
from resources.telemetry import span
from resources.workspace import Workspace
from resources.youtube import Downloader
from ytcaption_assets.domain.errors import AudioError, ObjectNotFound
from ytcaption_assets.domain.media import AudioProbe, MediaInfo, StoredAudio
from ytcaption_assets.partitions import transcription_partitions
from ytcaption_assets.run_claim import Work, claimed_work
from ytcaption_assets.run_metadata import audio_metadata
from ytcaption_assets.settings import load_settings


@dg.asset(
    partitions_def=transcription_partitions,
    pool="download",
    kinds={"python", "yt-dlp"},
    owners=["team:media"],
    group_name="captions",
)
def audio_download(
    context: dg.AssetExecutionContext,
    request_store: RequestStore,
    object_store: ObjectStore,
    workspace: Workspace,
    downloader: Downloader,
    audio_decoder: AudioDecoder,
) -> dg.MaterializeResult:
    """The media's best audio, as it came, stored once a media with its checksum and description."""
    with claimed_work(context, request_store) as work:
        media, downloaded = work.media, False
        with workspace.download_directory(media.source.media_id, work.should_stop) as directory:
            # Another run may have stored it while this one waited for the folder.
            media = request_store.media(media.source.media_id)
            if media.audio is None or not object_store.exists(media.audio.key):
                if media.source.kind == "upload":
                    info, audio = _examine_upload(object_store, audio_decoder, media)
                else:
                    per_site = load_settings().downloads_per_site
                    request_store.begin_download(work.id, work.run_id, per_site)
                    info, audio = _download(
                        work, object_store, workspace, downloader, audio_decoder, directory
                    )
                    downloaded = True
                request_store.audio_stored(work.id, work.run_id, info, audio)
                media = request_store.media(media.source.media_id)
            # Whoever has stored it may have been killed before this.
            workspace.clear(media.source.media_id)
        return dg.MaterializeResult(
            metadata=audio_metadata(media, object_store) | {"downloaded": downloaded}
        )


def _download(
    work: Work,
    object_store: ObjectStore,
    workspace: Workspace,
    downloader: Downloader,
    audio_decoder: AudioDecoder,
    directory: Path,
) -> tuple[MediaInfo, StoredAudio]:
    with span("download"):
        download = downloader.download(
            work.media.source, directory, work.progress, should_stop=work.should_stop
        )
    with span("probe"):
        try:
            probe = audio_decoder.probe(download.path)
        except AudioError:
            workspace.clear(work.media.source.media_id)  # it is whole, and of no use to anybody
            raise
    key = audio_key(work.media.source.media_id, download.extension)
    written = object_store.write_file(key, download.path)
    return download.info, _stored(key, written.sha256, written.size_bytes, probe)


def _examine_upload(
    object_store: ObjectStore, audio_decoder: AudioDecoder, media: MediaRow
) -> tuple[MediaInfo, StoredAudio]:
    """An upload is in the store before it is asked for: what is left is to look at it."""
    key = upload_key(media.source.media_id)
    if not object_store.exists(key):
        raise ObjectNotFound("The uploaded file is no longer stored. Upload it again.")
    with object_store.local_file(key) as path, span("probe"):
        probe = audio_decoder.probe(path)
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            size_bytes = file.tell()
    info = MediaInfo(title=media.source.title, duration_s=probe.duration_s)
    return info, _stored(key, sha256, size_bytes, probe)


def _stored(key: str, sha256: str, size_bytes: int, probe: AudioProbe) -> StoredAudio:
    return StoredAudio(
        key=key,
        sha256=sha256,
        size_bytes=size_bytes,
        duration_s=probe.duration_s,
        codec=probe.codec,
        container=probe.container,
        sample_rate_hz=probe.sample_rate_hz,
        channels=probe.channels,
    )
