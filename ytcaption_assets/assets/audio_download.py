"""Asset `audio_download`: request -> partition -> *audio* -> transcript -> parquet -> query."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import dagster as dg

from resources.audio.decoder import AudioDecoder
from resources.disk import sha256_of
from resources.download.downloader import CaptionsFound, Download, Downloader
from resources.download.egress import egress_route
from resources.download.workspace import Workspace
from resources.object_store.store import ObjectStore, audio_key, upload_key
from resources.orchestration.partitions import transcription_partitions
from resources.orchestration.transcription_claim import (
    Work,
    claimed_work,
)
from resources.telemetry.spans import span
from resources.transcriptions.captions import stored_captions
from resources.transcriptions.reads import get_media
from resources.transcriptions.rows import MediaRow
from resources.transcriptions.run_store import RunStore
from ytcaption.domain.caption_choice import CaptionsWanted
from ytcaption.domain.errors import AudioError, ObjectNotFound
from ytcaption.domain.media.media import AudioProbe, MediaInfo, StoredAudio
from ytcaption.domain.transcripts.transcript import Provenance
from ytcaption.settings.settings import load_settings
from ytcaption_assets.assets.caption_transcript import (
    captions_to_request,
    reference_to_request,
    stored_provenance,
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
    run_store: RunStore,
    object_store: ObjectStore,
    workspace: Workspace,
    downloader: Downloader,
    audio_decoder: AudioDecoder,
) -> dg.MaterializeResult:
    """The media's best audio as its source has it, stored once per media item with its checksum and
    description; or the source's own captions, where the options prefer them."""
    with claimed_work(context, run_store) as work:
        steps = _Steps(work, run_store, object_store, workspace, downloader, audio_decoder)
        earlier = steps.earlier_result()
        if earlier is not None:
            return dg.MaterializeResult(metadata=earlier)
        with workspace.download_directory(work.media.source.media_id, work.should_stop) as folder:
            downloaded = steps.fetch(folder)
            # A run that stored the audio may have been killed before it cleared the folder.
            workspace.clear(work.media.source.media_id)
        return dg.MaterializeResult(metadata=steps.metadata(downloaded=downloaded))


@dataclass(frozen=True)
class _Steps:
    """The steps of one download."""

    work: Work
    run_store: RunStore
    object_store: ObjectStore
    workspace: Workspace
    downloader: Downloader
    audio_decoder: AudioDecoder

    def earlier_result(self) -> Mapping[str, Any] | None:
        """Return the metadata if an earlier attempt has fetched the captions, or stored the
        transcript made of them: then there is nothing to download."""
        captions = stored_captions(self.run_store.postgres, self.work.id)
        if captions is not None and captions.track is not None:
            return captions_metadata(self.work.media, captions.choice)
        if self._provenance is not None and self._provenance.source != "asr":
            return {"captions": self._provenance.source, "downloaded": False}
        return None

    def fetch(self, folder: Path) -> bool:
        """Fetch what is missing: audio, captions or both. Return whether audio was downloaded."""
        media = self._media()  # another run may have stored it while this one waited for the folder
        has_audio = media.audio is not None and self.object_store.exists(media.audio.key)
        wanted = None
        if self._provenance is None:
            wanted = captions_to_request(self.work, media, self.run_store, has_audio=has_audio)
        if media.source.kind == "upload" and not has_audio:
            self._store_upload(media)
            return False
        if wanted is None and has_audio:
            return False
        with_audio = not has_audio and (wanted is None or wanted.policy != "only")
        result = self._download(media, folder, wanted, with_audio=with_audio)
        if isinstance(result, CaptionsFound):
            self.run_store.captions_settled(
                self.work.id, self.work.run_id, result.choice, result.track, result.info
            )
            return False
        self._store_audio(result)
        return True

    def metadata(self, *, downloaded: bool) -> Mapping[str, Any]:
        """Return the metadata of what is stored now."""
        captions = stored_captions(self.run_store.postgres, self.work.id)
        if captions is not None and captions.track is not None:
            return captions_metadata(self._media(), captions.choice)
        return audio_metadata(self._media(), self.object_store) | {"downloaded": downloaded}

    @cached_property
    def _provenance(self) -> Provenance | None:
        """Of the transcript that an earlier attempt has stored."""
        return stored_provenance(self.work, self.object_store)

    def _media(self) -> MediaRow:
        return get_media(self.run_store.postgres, self.work.media.source.media_id)

    def _download(
        self, media: MediaRow, folder: Path, wanted: CaptionsWanted | None, *, with_audio: bool
    ) -> CaptionsFound | Download:
        """Download over the egress route of the site.

        Raises:
            SourcePaused: the site may not be used now.
        """
        settings, work = load_settings(), self.work
        proxies = self.run_store.begin_download(
            work.id, work.run_id, settings.runs.downloads_per_site, settings.pacing
        )
        opening = egress_route(settings, self.run_store.postgres, media.source, proxies)
        with span("download"), opening as route:
            return self.downloader.captions_or_audio(
                media.source,
                folder,
                wanted,
                work.progress,
                should_stop=work.should_stop,
                with_audio=with_audio,
                route=route,
                reference=reference_to_request(work),
            )

    def _store_audio(self, download: Download) -> None:
        """Store downloaded audio, and why no captions are used in its place."""
        work = self.work
        with span("probe"):
            try:
                probe = self.audio_decoder.probe(download.path)
            except AudioError:
                # The download is complete and unusable: do not resume it.
                self.workspace.clear(work.media.source.media_id)
                raise
        key = audio_key(work.media.source.media_id, download.extension)
        written = self.object_store.write_file(key, download.path)
        if download.choice is not None:
            self.run_store.captions_settled(work.id, work.run_id, download.choice, None, None)
        audio = _stored(key, written.sha256, written.size_bytes, probe)
        info = download.info
        if info.captions is None:  # not requested this time
            info = replace(info, captions=work.media.info.captions)
        self.run_store.audio_stored(work.id, work.run_id, info, audio, download.reference)

    def _store_upload(self, media: MediaRow) -> None:
        """Describe an upload, which is in the object store before it is requested.

        Raises:
            ObjectNotFound: it is there no longer.
        """
        key = upload_key(media.source.media_id)
        if not self.object_store.exists(key):
            raise ObjectNotFound("The uploaded file is no longer stored. Upload it again.")
        with self.object_store.local_file(key) as path, span("probe"):
            probe = self.audio_decoder.probe(path)
            sha256, size_bytes = sha256_of(path), path.stat().st_size
        info = MediaInfo(duration_s=probe.duration_s)
        audio = _stored(key, sha256, size_bytes, probe)
        self.run_store.audio_stored(self.work.id, self.work.run_id, info, audio)


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
