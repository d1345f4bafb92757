from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import av
import mutagen
import numpy as np
import pytest
import soundfile
from mutagen.apev2 import APEv2
from mutagen.id3 import TALB, TCON, TIT2, TPE1
from mutagen.wave import WAVE
from mutagen.wavpack import WavPack

from audiomae.corpus.tags import read_tags

TAGS = {"title": "Tïtle", "artist": "Ärtist", "album": "Album 日本", "genre": "Jazz"}
NOTHING = {"title": "a", "artist": "", "album": "", "genre": ""}


def sound_file(path: Path, *, kind: str, subtype: str | None = None) -> Path:
    soundfile.write(path, np.zeros(16_000), 16_000, format=kind, subtype=subtype)
    return path


def with_av(path: Path, codec: str, tags: dict[str, str], *, container: str | None = None) -> Path:
    with av.open(str(path), "w", format=container) as file:
        stream = file.add_stream(codec, rate=48_000)
        stream.layout = "mono"
        file.metadata.update(tags)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 4_800), np.int16), format="s16", layout="mono")
        frame.sample_rate = 48_000
        file.mux([*stream.encode(frame), *stream.encode(None)])
    return path


@pytest.mark.parametrize(
    ("suffix", "kind", "subtype"), [("flac", "FLAC", None), ("ogg", "OGG", "VORBIS"), ("mp3", "MP3", None)]
)
def test_tags_of_the_common_formats_are_read(tmp_path, suffix, kind, subtype):
    path = sound_file(tmp_path / f"a.{suffix}", kind=kind, subtype=subtype)
    assert read_tags(path) == NOTHING
    file = mutagen.File(path, easy=True)
    if file.tags is None:
        file.add_tags()
    file.update({name: [text] for name, text in TAGS.items()})
    file.save()
    assert read_tags(path) == TAGS


def test_an_mp3_with_ape_tags_alone_is_read(tmp_path):
    path = sound_file(tmp_path / "a.mp3", kind="MP3")
    tags = APEv2()
    tags.update({name.title(): text for name, text in TAGS.items()})
    tags.save(path)
    assert read_tags(path) == TAGS


@pytest.mark.parametrize(
    ("suffix", "codec", "container"),
    [
        ("mka", "pcm_s16le", "matroska"),
        ("webm", "libopus", None),
        ("wav", "pcm_s16le", None),
        ("m4a", "alac", None),
    ],
)
def test_what_a_container_says_of_itself_is_read(tmp_path, suffix, codec, container):
    assert read_tags(with_av(tmp_path / f"a.{suffix}", codec, TAGS, container=container)) == TAGS
    assert read_tags(with_av(tmp_path / f"a.{suffix}", codec, {}, container=container)) == NOTHING


def test_id3_in_a_wav_is_read(tmp_path):
    path = sound_file(tmp_path / "a.wav", kind="WAV")
    file = WAVE(path)
    file.add_tags()
    for frame, text in ((TIT2, "title"), (TPE1, "artist"), (TALB, "album"), (TCON, "genre")):
        file.tags.add(frame(encoding=3, text=[TAGS[text]]))
    file.save()
    assert read_tags(path) == TAGS


def test_of_several_artists_the_first_is_taken(tmp_path):
    path = with_av(tmp_path / "a.wv", "wavpack", {})
    file = WavPack(path)
    file.tags["Artist"] = ["One", "Two"]
    file.save()
    assert read_tags(path)["artist"] == "One"
    path = sound_file(tmp_path / "a.flac", kind="FLAC")
    file = mutagen.File(path)
    file["artist"] = ["", "Ône", "Two"]
    file.save()
    assert read_tags(path)["artist"] == "Ône"


def test_the_names_of_asf_are_known(tmp_path, monkeypatch):
    names = {"Title": "title", "Author": "artist", "WM/AlbumTitle": "album", "WM/Genre": "genre"}

    file = SimpleNamespace(tags={name: [TAGS[field]] for name, field in names.items()})
    monkeypatch.setattr(mutagen, "File", lambda *_, **__: file)
    assert read_tags(tmp_path / "a.wma") == TAGS


def test_a_file_that_is_no_audio_is_called_by_its_name(tmp_path):
    (tmp_path / "a.mp3").write_bytes(b"ID3" + bytes(range(200)))
    assert read_tags(tmp_path / "a.mp3") == NOTHING
