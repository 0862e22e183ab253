"""Asset `audio_download`: request -> partition -> *audio* -> transcript -> parquet -> query."""

import hashlib
from dataclasses import replace

import dagster as dg

from resources.audio.decoder import AudioDecoder
from resources.download.downloader import CaptionsFound, Download, Downloader
from resources.download.egress import egress_route
from resources.download.workspace import Workspace
from resources.object_store.store import ObjectStore, audio_key, upload_key
from resources.orchestration.claim import Work, claimed_work
from resources.orchestration.partitions import transcription_partitions
from resources.telemetry.spans import span
from resources.transcriptions.captions import stored_captions
from resources.transcriptions.rows import MediaRow
from resources.transcriptions.store import RequestStore
from ytcaption.domain.errors import AudioError, ObjectNotFound
from ytcaption.domain.media.media import AudioProbe, MediaInfo, StoredAudio
from ytcaption.settings import load_settings
from ytcaption_assets.assets.caption_transcript import (
    reference_wanted,
    source_of_text,
    wanted_of_source,
)
from ytcaption_assets.assets.metadata import audio_metadata, captions_metadata


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
    """The media's best audio, as it came, stored once a media with its checksum and description;
    or the source's own captions, where they are taken instead."""
    with claimed_work(context, request_store) as work:
        media, downloaded = work.media, False
        kept = stored_captions(request_store.postgres, work.id)
        if kept is not None and kept.track is not None:
            return dg.MaterializeResult(metadata=captions_metadata(media, kept.choice))
        text_of = source_of_text(work, object_store)
        if text_of is not None and text_of.source != "asr":
            return dg.MaterializeResult(metadata={"captions": text_of.source, "downloaded": False})
        with workspace.download_directory(media.source.media_id, work.should_stop) as directory:
            # Another run may have stored it while this one waited for the folder.
            media = request_store.media(media.source.media_id)
            has_audio = media.audio is not None and object_store.exists(media.audio.key)
            wanted = None
            if text_of is None:
                wanted = wanted_of_source(work, media, request_store, has_audio=has_audio)
            if media.source.kind == "upload" and not has_audio:
                info, audio = _examine_upload(object_store, audio_decoder, media)
                request_store.audio_stored(work.id, work.run_id, info, audio)
            elif wanted is not None or not has_audio:
                settings = load_settings()
                proxies = request_store.begin_download(
                    work.id, work.run_id, settings.downloads_per_site, settings.pacing
                )
                going = egress_route(settings, request_store.postgres, media.source, proxies)
                with span("download"), going as way:
                    found = downloader.captions_or_audio(
                        media.source,
                        directory,
                        wanted,
                        work.progress,
                        should_stop=work.should_stop,
                        with_audio=not has_audio and (wanted is None or wanted.policy != "only"),
                        way=way,
                        reference=reference_wanted(work),
                    )
                if isinstance(found, CaptionsFound):
                    request_store.captions_settled(
                        work.id, work.run_id, found.choice, found.track, found.info
                    )
                else:
                    _store(work, request_store, object_store, workspace, audio_decoder, found)
                    downloaded = True
            # Whoever has stored it may have been killed before this.
            workspace.clear(media.source.media_id)
            media = request_store.media(media.source.media_id)
        kept = stored_captions(request_store.postgres, work.id)
        if kept is not None and kept.track is not None:
            return dg.MaterializeResult(metadata=captions_metadata(media, kept.choice))
        return dg.MaterializeResult(
            metadata=audio_metadata(media, object_store) | {"downloaded": downloaded}
        )


def _store(
    work: Work,
    request_store: RequestStore,
    object_store: ObjectStore,
    workspace: Workspace,
    audio_decoder: AudioDecoder,
    download: Download,
) -> None:
    """Audio, and why there are no captions in its stead."""
    with span("probe"):
        try:
            probe = audio_decoder.probe(download.path)
        except AudioError:
            workspace.clear(work.media.source.media_id)  # it is whole, and of no use to anybody
            raise
    key = audio_key(work.media.source.media_id, download.extension)
    written = object_store.write_file(key, download.path)
    if download.choice is not None:
        request_store.captions_settled(work.id, work.run_id, download.choice, None, None)
    audio = _stored(key, written.sha256, written.size_bytes, probe)
    info = download.info
    if info.captions is None:  # nobody looked this time
        info = replace(info, captions=work.media.info.captions)
    request_store.audio_stored(work.id, work.run_id, info, audio, download.reference)


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
