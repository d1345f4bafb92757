"""Every container that is read, and the texts that only pretend to be one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audiomae.audio import container
from audiomae.audio.decode import decode
from audiomae.errors import DecodeError

RATE = 44_100
WRITTEN = [("m4a", "aac", None), ("m4a", "alac", None), ("aac", "aac", "adts"), ("mp3", "libmp3lame", None)]
WRITTEN += [
    ("opus", "libopus", None),
    ("webm", "libopus", None),
    ("mka", "libopus", "matroska"),
    ("wv", "wavpack", None),
]
WRITTEN += [("tta", "tta", None), ("ac3", "ac3", None), ("eac3", "eac3", None), ("mp2", "mp2", None)]
WRITTEN += [
    ("caf", "pcm_s16le", None),
    ("caf", "alac", None),
    ("au", "pcm_s16be", None),
    ("aiff", "pcm_s16be", None),
]
WRITTEN += [
    ("w64", "pcm_s16le", None),
    ("voc", "pcm_s16le", None),
    ("flac", "flac", None),
    ("mov", "pcm_s16le", None),
]
WRITTEN += [("wav", "pcm_f32le", None), ("avi", "libmp3lame", None), ("flv", "aac", None)]


def noise(seconds: float, rate: int = RATE, channels: int = 2, seed: int = 0) -> np.ndarray:
    """A tone in a little noise, each channel of its own."""
    generator = np.random.default_rng(seed)
    steps = np.arange(round(seconds * rate))[:, None] / rate
    return (0.3 * np.sin(2 * np.pi * 440 * steps) + generator.normal(0, 0.02, (len(steps), channels))).astype(
        "f4"
    )


@pytest.mark.parametrize(("suffix", "codec", "kind"), WRITTEN)
def test_a_song_in_any_container_is_read_whole_right_after_installing(tmp_path, encode, suffix, codec, kind):
    rate = 48_000 if codec == "libopus" else RATE
    path = encode(tmp_path / f"a.{suffix}", noise(6, rate), rate, codec, container=kind)
    samples = decode(path, 16_000)
    assert len(samples) / 16_000 == pytest.approx(6, abs=0.06)
    middle = samples[16_000:80_000]
    assert np.abs(np.fft.rfft(middle)).argmax() / 4 == pytest.approx(440, abs=0.3)
    assert f".{suffix}" in container.ENDINGS


@pytest.mark.parametrize("suffix", ["wav", "aiff", "caf", "au", "w64", "flac", "wv", "tta", "webm", "mp3"])
def test_a_file_cut_in_half_is_refused_in_every_container_that_says_its_length(tmp_path, encode, suffix):
    codec, kind = next((codec, kind) for ending, codec, kind in WRITTEN if ending == suffix)
    rate = 48_000 if codec == "libopus" else RATE
    path = encode(tmp_path / f"a.{suffix}", noise(6, rate), rate, codec, container=kind)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2 + 5])
    with pytest.raises(DecodeError, match=r"(truncated|damaged): .* are there$"):
        decode(path, 16_000)


HOSTILE = {
    "hls": "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXT-X-MEDIA-SEQUENCE:0\n#EXTINF:6.0,\n{}\n#EXT-X-ENDLIST\n",
    "playlist": "#EXTM3U\n#EXTINF:6,song\n{}\n",
    "concat": "ffconcat version 1.0\nfile '{}'\n",
    "concat-plain": "file '{}'\nfile '{}'\n",
    "dash": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period>'
    '<AdaptationSet mimeType="audio/mp4"><Representation id="1" bandwidth="1"><BaseURL>{}</BaseURL>'
    "</Representation></AdaptationSet></Period></MPD>",
    "smooth": '<?xml version="1.0"?><SmoothStreamingMedia MajorVersion="2"><StreamIndex Url="{}"/>',
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0\n",
    "pls": "[playlist]\nFile1={}\nNumberOfEntries=1\n",
    "asx": '<asx version="3.0"><entry><ref href="{}"/></entry></asx>',
}


@pytest.mark.parametrize("name", ["a.m4a", "a.m3u8", "a.wav", "a.mp3", "a.mpd", "a"])
@pytest.mark.parametrize("kind", HOSTILE)
def test_a_text_that_names_other_files_opens_none(tmp_path, monkeypatch, kind, name):
    secret = tmp_path / "secret.wav"
    soundfile.write(secret, noise(6), RATE)
    monkeypatch.chdir(tmp_path)
    for target in (str(secret), "secret.wav", f"file://{secret}"):
        (tmp_path / name).write_text(HOSTILE[kind].replace("{}", target))
        with pytest.raises(DecodeError, match=": not audio: "):
            decode(tmp_path / name, 16_000)


def test_nothing_but_the_bytes_that_were_opened_can_be_read(tmp_path, monkeypatch):
    """What holds if a demuxer that opens other files were ever let in."""
    soundfile.write(tmp_path / "secret.wav", noise(6), RATE)
    monkeypatch.setattr(container, "CONTAINERS", (*container.CONTAINERS, "hls", "concat"))
    for kind in ("hls", "concat"):
        path = tmp_path / f"{kind}.m4a"
        path.write_text(HOSTILE[kind].replace("{}", str(tmp_path / "secret.wav")))
        with pytest.raises(DecodeError):
            decode(path, 16_000)


def test_a_film_without_a_sound_track_says_so(tmp_path):
    import av

    with av.open(str(tmp_path / "a.mkv"), "w") as file:
        stream = file.add_stream("mpeg4", rate=5)
        stream.width = stream.height = 32
        stream.pix_fmt = "yuv420p"
        for _ in range(5):
            file.mux(
                stream.encode(av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24"))
            )
        file.mux(stream.encode(None))
    with pytest.raises(DecodeError, match="not audio: matroska without a sound track"):
        decode(tmp_path / "a.mkv", 16_000)


def test_the_picture_of_a_film_may_outlast_its_sound(tmp_path):
    import av

    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as file:
        video, audio = file.add_stream("mpeg4", rate=5), file.add_stream("pcm_s16le", rate=16_000)
        video.width = video.height = 32
        video.pix_fmt = "yuv420p"
        audio.layout = "mono"
        sound = (noise(6, 16_000, 1) * 32767).astype("<i2").T
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(sound), format="s16", layout="mono")
        frame.sample_rate = 16_000
        file.mux(audio.encode(frame))
        for number in range(50):
            picture = av.VideoFrame.from_ndarray(np.full((32, 32, 3), number, np.uint8), format="rgb24")
            file.mux(video.encode(picture))
        file.mux([*audio.encode(None), *video.encode(None)])
    assert len(decode(path, 16_000)) == 6 * 16_000


def test_the_containers_are_ffmpegs_own_names():
    import av

    assert [name for name in container.CONTAINERS if name not in av.formats_available] == []
    assert not {"hls", "dash", "concat", "sdp", "rtsp", "image2", "lavfi", "mpegts"} & set(
        container.CONTAINERS
    )
    assert json.dumps(sorted(container.ENDINGS)) == json.dumps(sorted(map(str.lower, container.ENDINGS)))
    assert Path("x.m3u8").suffix not in container.ENDINGS
