"""An HLS stream with caption tracks on loopback, as yt-dlp's generic extractor finds it."""

from tests.support.servers.media_server import MediaServer

SAID = ("And so, my fellow Americans,", "ask not what your country can do for you,")
TRACK = f"""WEBVTT

00:00:00.500 --> 00:00:03.000
{SAID[0]}

00:00:03.500 --> 00:00:07.500
<v Kennedy>{SAID[1]}</v>

00:00:08.000 --> 00:00:10.000
[applause]
"""
AUDIO = "hls/jfk.flac/index.m3u8"


def serve_stream(
    server: MediaServer, tracks: dict[str, str | None], spoken: str | None = "en"
) -> str:
    """The URL of a stream of `jfk.flac` with these tracks.

    Args:
        tracks: WebVTT by language; None: the track is listed and not there.
        spoken: the language that the stream states.
    """
    said = f',LANGUAGE="{spoken}"' if spoken else ""
    lines = ["#EXTM3U"]
    for code, track in tracks.items():
        lines.append(
            f'#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="s",NAME="{code}",LANGUAGE="{code}",'
            f'URI="{code}.m3u8"'
        )
        server.serve(
            f"{code}.m3u8",
            "#EXTM3U\n#EXT-X-TARGETDURATION:11\n#EXT-X-PLAYLIST-TYPE:VOD\n#EXTINF:11,\n"
            f"{code}.vtt\n#EXT-X-ENDLIST\n".encode(),
        )
        if track is not None:
            server.serve(f"{code}.vtt", track.encode())
    lines += [
        f'#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="Original"{said},DEFAULT=YES,URI="{AUDIO}"',
        '#EXT-X-STREAM-INF:BANDWIDTH=900000,CODECS="avc1.42c00d,mp4a.40.2",AUDIO="a",SUBTITLES="s"',
        AUDIO,
    ]
    return server.serve("master.m3u8", ("\n".join(lines) + "\n").encode())
