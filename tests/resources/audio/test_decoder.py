"""Any container is decoded to samples on the media's clock; broken files are distinguished."""

import os

import numpy as np
import pytest
from faster_whisper.audio import decode_audio

from resources.audio.decoder import decode, probe, waveform_png
from tests.support.media_files import RATE_HZ, sounding_s, tone, write_media
from tests.support.paths import DATA
from ytcaption.domain.errors import (
    AudioTruncated,
    AudioUndecodable,
    EmptyFile,
    FileUnreadable,
    NoAudioTrack,
    NotMedia,
)

LIMITS = {"max_audio_s": 600.0, "memory_bytes": 1 << 30}


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    ["jfk.flac", "sonnet-en.mp3", "joanis-fr.m4a", "fleurs-de-001.ogg", "weather-mulaw-8k.wav"],
)
def test_samples_are_those_of_faster_whispers_decoder(name):
    """Our bounded loop gives the same samples as faster-whisper's own decoder."""
    samples, theirs = decode(DATA / name, **LIMITS), decode_audio(str(DATA / name))
    assert samples.dtype == np.float32
    assert abs(len(samples) - len(theirs)) <= 2
    length = min(len(samples), len(theirs))
    assert np.abs(samples[:length] - theirs[:length]).max() < 1e-3


def test_probe_reads_the_headers():
    """Container, codec, rate, channels and duration of an MP4 are returned."""
    headers = probe(DATA / "joanis-fr.m4a", memory_bytes=1 << 30)
    assert (headers.codec, headers.sample_rate_hz, headers.channels) == ("aac", 44_100, 1)
    assert headers.container.startswith("mov,mp4,m4a")
    assert headers.duration_s == pytest.approx(34.13, abs=0.01)


@pytest.mark.long
def test_stereo_is_mixed_to_one_channel():
    """Both speakers of a two-channel recording stay audible."""
    left, right = decode_audio(str(DATA / "stereo-2spk.wav"), split_stereo=True)
    samples = decode(DATA / "stereo-2spk.wav", **LIMITS)
    assert np.corrcoef(samples, (left + right) / 2)[0, 1] > 0.999


@pytest.mark.parametrize(("suffix", "codec"), [("mp4", "aac"), ("mkv", "libopus"), ("mkv", "flac")])
@pytest.mark.long
def test_sound_of_a_video_is_decoded(tmp_path, suffix, codec):
    """A video file is decoded like an audio file."""
    path = write_media(
        tmp_path / f"video.{suffix}", [(tone(2.0), {})], codec=codec, with_picture=True
    )
    start_s, end_s = sounding_s(decode(path, **LIMITS))
    assert start_s < 0.05
    assert end_s == pytest.approx(2.0, abs=0.05)


@pytest.mark.parametrize(("suffix", "codec"), [("mkv", "flac"), ("mp4", "aac")])
def test_sound_that_starts_late_keeps_the_pictures_clock(tmp_path, suffix, codec):
    """A track that begins 1.5 s after the picture is preceded by 1.5 s of silence."""
    path = write_media(
        tmp_path / f"late.{suffix}",
        [(tone(1.0), {"start_s": 1.5})],
        codec=codec,
        with_picture=True,
    )
    start_s, end_s = sounding_s(decode(path, **LIMITS))
    assert start_s == pytest.approx(1.5, abs=0.05)
    assert end_s == pytest.approx(2.5, abs=0.05)


def test_gap_in_the_timestamps_is_silence(tmp_path):
    """Sound after missing packets keeps its time."""
    path = write_media(
        tmp_path / "hole.mkv", [(tone(3.0), {"holes_s": [(1.0, 2.0)]})], codec="pcm_s16le"
    )
    samples = decode(path, **LIMITS)
    assert len(samples) == pytest.approx(3 * 16_000, abs=800)
    assert np.abs(samples[int(1.1 * 16_000) : int(1.9 * 16_000)]).max() == 0.0
    assert np.abs(samples[int(2.1 * 16_000) :]).max() > 0.4


def test_clock_that_jumps_by_hours_is_ignored(tmp_path):
    """A very long offset is no silence; gaps after it still are."""
    path = write_media(
        tmp_path / "jump.mkv",
        [(tone(3.0), {"start_s": 90_000.0, "holes_s": [(1.0, 2.0)]})],
        codec="pcm_s16le",
    )
    samples = decode(path, **LIMITS)
    assert len(samples) == pytest.approx(3 * 16_000, abs=800)
    assert np.abs(samples[int(1.1 * 16_000) : int(1.9 * 16_000)]).max() == 0.0


@pytest.mark.long
def test_default_track_is_decoded(tmp_path):
    """Of several audio tracks the one marked as default is decoded, else the first."""
    silent = np.zeros_like(tone(1.0))
    marked = write_media(
        tmp_path / "marked.mkv",
        [(silent, {"default": False}), (tone(1.0), {"default": True})],
        codec="flac",
    )
    unmarked = write_media(
        tmp_path / "unmarked.mkv",
        [(tone(1.0), {"default": False}), (silent, {"default": False})],
        codec="flac",
    )
    assert np.abs(decode(marked, **LIMITS)).max() > 0.4
    assert np.abs(decode(unmarked, **LIMITS)).max() > 0.4


@pytest.mark.long
def test_six_channels_are_mixed(tmp_path):
    """Speech in the centre channel of 5.1 sound is in the samples."""
    samples = np.zeros((6, RATE_HZ), np.int16)
    samples[2] = tone(1.0)[0]
    path = write_media(tmp_path / "surround.flac", [(samples, {"layout": "5.1"})], codec="flac")
    assert probe(path, memory_bytes=1 << 30).channels == 6
    assert np.abs(decode(path, **LIMITS)).max() > 0.1


@pytest.mark.long
def test_sample_format_may_change_midway(tmp_path):
    """Two MP3s of different rate and channels, one after the other, are both decoded."""
    no_header = {"write_xing": "0", "id3v2_version": "0"}
    first = write_media(
        tmp_path / "a.mp3", [(tone(1.0), {})], codec="libmp3lame", options=no_header
    )
    second = write_media(
        tmp_path / "b.mp3",
        [(tone(1.0, rate_hz=32_000, channels=2), {})],
        codec="libmp3lame",
        rate_hz=32_000,
        options=no_header,
    )
    both = tmp_path / "both.mp3"
    both.write_bytes(first.read_bytes() + second.read_bytes())
    start_s, end_s = sounding_s(decode(both, **LIMITS))
    assert start_s < 0.1
    assert end_s == pytest.approx(2.1, abs=0.15)


@pytest.mark.long
def test_damaged_packet_is_skipped_and_times_stay(tmp_path):
    """Damage in the middle of a file loses that part, not the rest."""
    data = bytearray((DATA / "jfk.flac").read_bytes())
    data[90_000:92_000] = bytes(2_000)
    path = tmp_path / "damaged.flac"
    path.write_bytes(data)
    whole, samples = decode(DATA / "jfk.flac", **LIMITS), decode(path, **LIMITS)
    assert abs(len(samples) - len(whole)) < 16_000 * 0.6
    assert np.array_equal(samples[:16_000], whole[:16_000])
    assert np.array_equal(samples[-16_000:], whole[-16_000:])


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("broken-empty.wav", EmptyFile),
        ("broken-not-audio.mp3", NotMedia),
        ("broken-truncated.flac", AudioTruncated),
        ("no-such-file.wav", FileUnreadable),
        (".", FileUnreadable),
    ],
)
def test_broken_files_are_distinguished(name, error):
    """Each kind of broken file has its own error, in a sentence without a path."""
    with pytest.raises(error) as raised:
        decode(DATA / name, **LIMITS)
    assert str(DATA) not in str(raised.value)
    assert not raised.value.retryable


def test_pipe_is_rejected(tmp_path):
    """A file that is not an ordinary file is rejected, not read for ever."""
    os.mkfifo(tmp_path / "pipe.wav")
    with pytest.raises(FileUnreadable, match="ordinary"):
        decode(tmp_path / "pipe.wav", **LIMITS)


def test_video_without_sound_has_no_audio_track(tmp_path):
    """A silent film is not an undecodable one."""
    path = write_media(tmp_path / "silent.mp4", [], codec="aac", with_picture=True)
    for read in (lambda: probe(path, memory_bytes=1 << 30), lambda: decode(path, **LIMITS)):
        with pytest.raises(NoAudioTrack):
            read()


def test_picture_has_no_audio_track(tmp_path):
    """A thumbnail with a video's file name is distinguished from garbage."""
    path = tmp_path / "picture.mp4"
    path.write_bytes(waveform_png(np.zeros(10, np.float32)))
    with pytest.raises(NoAudioTrack):
        probe(path, memory_bytes=1 << 30)


def test_cover_picture_does_not_matter(tmp_path):
    """An MP3 with an attached picture is audio."""
    import av

    path = tmp_path / "cover.mp3"
    with av.open(str(path), "w") as container:
        audio = container.add_stream("libmp3lame", rate=RATE_HZ, layout="mono")
        cover = container.add_stream("png", rate=1)
        cover.width = cover.height = 16
        cover.pix_fmt = "rgb24"
        cover.disposition = av.stream.Disposition.attached_pic
        container.mux(
            cover.encode(av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8), "rgb24"))
        )
        container.mux(cover.encode())
        frame = av.AudioFrame.from_ndarray(tone(1.0), format="s16p", layout="mono")
        frame.rate, frame.pts = RATE_HZ, 0
        container.mux(audio.encode(frame))
        container.mux(audio.encode())
    assert np.abs(decode(path, **LIMITS)).max() > 0.4


def test_track_of_garbage_is_undecodable(tmp_path):
    """A valid index of random data gives an error, not a crash."""
    path = write_media(tmp_path / "noise.mp4", [(tone(2.0), {})], codec="aac")
    data = bytearray(path.read_bytes())
    start, end = data.index(b"mdat") + 4, data.index(b"moov") - 4
    data[start:end] = np.random.default_rng(1).bytes(end - start)
    path.write_bytes(data)
    with pytest.raises(AudioUndecodable, match="damaged"):
        decode(path, **LIMITS)


def test_waveform_picture_shows_loudness():
    """The picture has 600 by 80 pixels and more ink where there is sound; silence and an empty
    array are drawn as well."""
    import io

    from PIL import Image

    samples = np.zeros(16_000, np.float32)
    samples[8_000:] = np.where(np.arange(8_000) % 2, 0.9, -0.9)
    picture = Image.open(io.BytesIO(waveform_png(samples))).convert("L")
    assert picture.size == (600, 80)
    ink = 255 - np.asarray(picture, dtype=int)
    assert ink[:, 310:].sum() > 10 * ink[:, :290].sum()
    assert waveform_png(np.zeros(0, np.float32)).startswith(b"\x89PNG")
