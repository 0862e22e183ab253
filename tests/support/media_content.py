"""Bodies that the media server sends: streams, pages, feeds."""

import html
import mimetypes
from pathlib import Path
from typing import Any

TYPES = {
    ".flac": "audio/flac",
    ".m3u8": "application/vnd.apple.mpegurl",
    ".mpd": "application/dash+xml",
}


def write_stream(protocol: str, source: Path, folder: Path) -> None:
    """Write `index.m3u8` or `index.mpd` of an audio file, and its segments (AAC), to the folder."""
    import av

    if protocol == "hls":
        options = {"hls_time": "2", "hls_list_size": "0", "hls_segment_filename": f"{folder}/%d.ts"}
        manifest = folder / "index.m3u8"
    else:
        options, manifest = {"seg_duration": "2"}, folder / "index.mpd"
    with (
        av.open(str(source)) as reader,
        av.open(str(manifest), "w", format=protocol, options=options) as writer,
    ):
        audio: Any = writer.add_stream(
            "aac", rate=reader.streams.audio[0].codec_context.sample_rate
        )
        for frame in reader.decode(audio=0):
            frame.pts = None
            writer.mux(audio.encode(frame))
        writer.mux(audio.encode(None))


def mime(name: str) -> str:
    """Content type of a file name."""
    return (
        TYPES.get(Path(name).suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
    )


def page(src: str | None) -> bytes:
    """An HTML page, with or without media in it."""
    media = f'<video controls src="{html.escape(src)}"></video>' if src else ""
    return f"<!doctype html><title>A page</title><h1>A page</h1>{media}".encode()


def feed(src: str) -> bytes:
    """An RSS feed with one episode."""
    return (
        '<?xml version="1.0"?><rss version="2.0"><channel><title>A podcast</title>'
        "<item><title>One</title>"
        f'<enclosure url="{html.escape(src)}" type="audio/flac" length="1"/></item></channel></rss>'
    ).encode()
