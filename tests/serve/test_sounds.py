"""What takes the model: files that are sent, pictures, and what is masked rebuilt."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
import pytest
import soundfile

import audiomae
from audiomae.audio.mel import MelSettings
from audiomae.errors import ConfigError
from audiomae.model.config import ModelSettings
from audiomae.serve.sounds import choose_patches
from audiomae.vectors.writer import TrackClips, VectorsWriter

PNG = b"\x89PNG\r\n"


@pytest.fixture(scope="module")
def embedded(songs, tiny_model, tmp_path_factory) -> Path:
    """Vectors of the four songs, made by the model."""
    model = audiomae.load(tiny_model)
    folder = tmp_path_factory.mktemp("embedded") / "vectors"
    about = {"model_fingerprint": model.fingerprint, "layer": model.layer, "pool": model.pool, "whiten": 0}
    writer = VectorsWriter(folder, {**about, "hop_seconds": model.hop_seconds}, model.dim)
    paths = sorted(songs.glob("*.wav"))
    found = model.embed_files(paths)
    writer.add_part(
        [TrackClips(path.stem, np.zeros(1), vector[None]) for path, vector in zip(paths, found, strict=True)]
    )
    writer.finish({path.stem: {"path": str(path), "title": path.stem, "seconds": 6.0} for path in paths})
    return folder


@pytest.fixture
def hearing(serve, embedded, tiny_model):
    return serve(embedded, model=tiny_model)


def test_a_sent_file_gets_the_vector_that_the_model_gives_it(hearing, songs, tiny_model):
    content = (songs / "2.wav").read_bytes()
    answer = hearing.post("/api/embed", params={"k": 2}, files={"file": ("../../x.wav", content)}).json()
    direct = audiomae.load(tiny_model).embed_files(songs / "2.wav")[0]
    np.testing.assert_allclose(answer["vector"], direct, atol=1e-5)  # the order of float32 sums
    assert (answer["seconds"], answer["dim"], len(answer["songs"])) == (6.01, len(direct), 2)
    assert answer["songs"][0]["track_id"] == "2"


@pytest.mark.parametrize("content", [b"", b"no sound at all", b"RIFF\x24\0\0\0WAVEfmt "])
def test_what_is_no_sound_is_one_clear_line(hearing, content):
    answer = hearing.post("/api/embed", files={"file": ("x.wav", content)})
    assert answer.status_code == 422
    line = answer.json()["error"]
    assert line.startswith("x.wav: ")
    assert "/tmp" not in line


def test_a_clip_is_rebuilt_where_it_was_masked(hearing):
    asked = {"track_id": "1", "start_seconds": 0.5, "spans": [[1.0, 2.0]], "bands": [[0, 1000]], "seed": 1}
    answer = hearing.post("/api/reconstruct", json=asked).json()
    assert (answer["clip_seconds"], answer["start_seconds"]) == (4.96, 0.5)
    assert 0 < answer["masked_share"] < 0.2
    assert answer["error_db"] > 0
    for part in ("original", "masked", "rebuilt"):
        kind, _, text = answer["pictures"][part].partition(",")
        assert kind == "data:image/png;base64"
        assert base64.b64decode(text).startswith(PNG)
        samples, rate = soundfile.read(io.BytesIO(base64.b64decode(answer["sounds"][part].partition(",")[2])))
        assert (rate, round(len(samples) / rate, 1)) == (16_000, 5.0)


@pytest.mark.parametrize(
    ("spans", "line"),
    [([[0, 99]], "the spans cover the whole clip"), ([[50, 60]], "the spans cover nothing of the clip")],
)
def test_a_mask_of_all_or_nothing_is_refused(hearing, spans, line):
    answer = hearing.post("/api/reconstruct", json={"track_id": "1", "spans": spans})
    assert (answer.status_code, answer.json()["error"][: len(line)]) == (422, line)


def test_the_picture_of_a_song_is_as_long_as_was_asked_for(hearing):
    answer = hearing.get("/api/tracks/1/mel.png", params={"start": 1, "seconds": 2})
    width, height = (int.from_bytes(answer.content[at : at + 4], "big") for at in (16, 20))
    assert (answer.headers["content-type"], width, height) == ("image/png", 200, 80)
    late = hearing.get("/api/tracks/1/mel.png", params={"start": 9})
    assert late.json()["error"] == "1: ends at 6.01 s, before 9 s."


def test_a_model_that_made_other_vectors_is_said_and_not_used(serve, collection, tiny_model):
    client = serve(collection, model=tiny_model)
    answer = client.post("/api/embed", files={"file": ("x.wav", b"x")})
    assert answer.status_code == 503
    assert "was made with model m, but" in answer.json()["error"]
    assert "was made with model m" in client.get("/ready").json()["notes"]["model"]


def test_without_a_model_the_way_out_is_named(client):
    answer = client.post("/api/reconstruct", json={"track_id": "t1", "spans": [[0, 1]]})
    assert (answer.status_code, answer.json()["error"]) == (
        404,
        "no model is served. Start audiomae serve with --model tiny (or a run folder).",
    )


@pytest.mark.parametrize(
    ("spans", "columns"),
    [([(0.0, 0.32)], [0, 1]), ([(0.05, 0.09)], [0]), ([(0.09, 0.39)], [1]), ([(4.75, 9.0)], [30])],
)
def test_patches_are_masked_where_half_of_them_lies_in_a_span(spans, columns):
    mask = choose_patches(MelSettings(), ModelSettings(), spans, None)
    assert mask.shape == (1, 31, 5)
    assert mask[0].any(dim=1).nonzero().flatten().tolist() == columns
    assert mask[0].all(dim=1).nonzero().flatten().tolist() == columns


def test_bands_of_frequency_mask_rows():
    mask = choose_patches(MelSettings(), ModelSettings(), [(0.0, 0.32)], [(0.0, 700.0)])
    assert mask[0, 0].tolist() == [True, False, False, False, False]
    with pytest.raises(ConfigError, match="reaches from 50 to 8000 Hz"):
        choose_patches(MelSettings(), ModelSettings(), [(0.0, 1.0)], [(9000.0, 9900.0)])
