from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import audiomae
from audiomae.cli.main import main
from audiomae.errors import ConfigError, DataError, FingerprintError
from audiomae.model.config import ModelSettings
from audiomae.model.embedder import save, untrained
from audiomae.similarity.rules import SongRules
from audiomae.similarity.search import find_similar
from audiomae.vectors.writer import TrackClips, VectorsWriter
from audiomae.verbs.export import ExportSettings, export
from audiomae.verbs.similar import SimilarSettings, SimilarSong, similar


def ask(**settings: object) -> list[SimilarSong]:
    return similar(SimilarSettings(**settings)).similar  # type: ignore[arg-type]


@pytest.fixture
def compass(tmp_path: Path) -> str:
    """Five tracks with one clip each, at known angles; two of them equal."""
    writer = VectorsWriter(tmp_path / "v", {"model_fingerprint": "m", "whiten": 0}, 2)
    angles = {"north": 90, "east": 0, "b-north-east": 45, "a-north-east": 45, "west": 180}
    vectors = {
        name: np.array([[np.cos(np.radians(a)), np.sin(np.radians(a))]], np.float32)
        for name, a in angles.items()
    }
    writer.add_part([TrackClips(name, np.zeros(1), 3 * vector) for name, vector in vectors.items()])
    writer.finish({"east": {"title": "Sunrise", "artist": "Someone"}, "west": {"title": "Sunset [live]"}})
    return str(tmp_path / "v")


def test_the_nearest_come_first_without_the_query_and_ties_go_by_name(compass):
    found = ask(vectors=compass, track="east", raw=True, k=3)
    assert [(song.track_id, song.cosine) for song in found] == [
        ("a-north-east", pytest.approx(0.7071, abs=1e-4)),
        ("b-north-east", pytest.approx(0.7071, abs=1e-4)),
        ("north", pytest.approx(0, abs=1e-4)),
    ]
    assert len(ask(vectors=compass, track="east", k=100, duplicates=True)) == 4


def test_a_shared_offset_hides_nothing_once_entries_are_standardised(tmp_path):
    writer = VectorsWriter(tmp_path / "v", {"model_fingerprint": "m", "whiten": 0}, 2)
    places = {"a": (-1, -1), "b": (-1.1, -0.8), "c": (1, 1), "d": (1.1, 0.9)}
    for name, place in places.items():
        writer.add_part([TrackClips(name, np.zeros(1), np.array([place], np.float32) + 100)])
    writer.finish({})
    raw, standard = (
        ask(vectors=str(tmp_path / "v"), track="a", raw=raw, duplicates=True) for raw in (True, False)
    )
    assert min(song.cosine for song in raw) > 0.999
    assert [song.cosine > 0.9 for song in standard] == [True, False, False]
    assert standard[0].track_id == "b"


def test_the_table_shows_title_artist_and_cosine(compass, capsys):
    assert main(["similar", compass, "--track", "b-north-east", "--raw"]) == 0
    out = capsys.readouterr().out
    assert "Most similar to b-north-east" in out
    row = next(line for line in out.splitlines() if "Sunrise" in line)
    assert "Someone" in row
    assert "0.707" in row
    assert "Sunset [live]" in out


def test_an_unknown_track_is_answered_with_close_ones(compass):
    with pytest.raises(DataError, match=r"track 'esat' is not among the 5 .* Close: .*east"):
        similar(SimilarSettings(compass, track="esat"))


@pytest.mark.parametrize("whiten", [0, 4])
def test_a_file_finds_its_own_track_first_and_the_same_pitch_next(tiny_model, tones, tmp_path, whiten):
    out, model = str(tmp_path / "v"), str(shutil.copytree(tiny_model, tmp_path / "run"))
    export(ExportSettings((model, str(tones)), out, whiten=whiten, threads=1, hop_seconds=0.5))
    song = str(tones / "tone-2.wav")
    found = ask(vectors=out, file=song, model=model, duplicates=True)
    assert [entry.title for entry in found[:2]] == ["tone-2", "tone-3"]
    assert found[0].cosine == pytest.approx(1, abs=1e-4)
    by_track = ask(vectors=out, track=found[0].track_id, duplicates=True)
    assert [entry.title for entry in by_track] == [entry.title for entry in found[1:]]


def test_vectors_of_another_model_are_refused_in_one_line(compass, tones, tmp_path):
    save(untrained(ModelSettings(width=16, depth=1, heads=1)), tmp_path / "run", {})
    with pytest.raises(FingerprintError, match="was made with model m, but") as caught:
        similar(SimilarSettings(compass, file=str(tones / "tone-0.wav"), model=str(tmp_path / "run")))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({}, "give --track ID, --file song.flac, --like a,b,c, --from a --to b, or --all"),
        ({"track": "a", "from_": "b", "to": "c"}, "similar starts from songs"),
        ({"from_": "b"}, "give both --from and --to"),
        ({"radio": True, "from_": "a", "to": "b"}, "--radio goes on from songs"),
        ({"all": True}, "--out near.parquet"),
        ({"all": True, "out": "near.csv"}, "must be .parquet"),
        ({"track": "a", "out": "near.doc"}, "its ending says what is written"),
        ({"like": "a,b", "raw": True}, "--raw compares one song as it is"),
        ({"track": "a", "k": 0}, "k is 0"),
        ({"track": "a", "key": "H"}, "key names 'H'"),
        ({"track": "a", "tempo": (120, 90)}, "tempo is .120, 90.; it must be the least and the most"),
    ],
)
def test_settings_that_do_not_fit_together_are_refused(settings, text):
    with pytest.raises(ConfigError, match=text):
        SimilarSettings("v", **settings)


def test_a_list_is_written_as_its_ending_says(orchestra, tmp_path, capsys):
    folder = str(orchestra.vectors.folder)
    for name in ("list.m3u8", "list.csv", "list.json"):
        assert (
            main(
                ["similar", folder, "--like", "bells-00,bells-01", "--k", "3", "--out", str(tmp_path / name)]
            )
            == 0
        )
    assert f"Written to {tmp_path / 'list.json'}" in capsys.readouterr().out
    paths = [line for line in (tmp_path / "list.m3u8").read_text().splitlines() if not line.startswith("#")]
    assert paths == [row["path"] for row in csv.DictReader((tmp_path / "list.csv").read_text().splitlines())]
    assert paths == [song["path"] for song in json.loads((tmp_path / "list.json").read_text())["similar"]]
    again = ask(vectors=folder, like=str(tmp_path / "list.m3u8"), k=59)
    assert not {song.path for song in again} & set(paths)


def test_the_same_settings_give_the_same_songs_at_every_door(orchestra, capsys):
    folder = str(orchestra.vectors.folder)
    words = ["--like", "bells-00", "--unlike", "drums-00", "--per-artist", "1", "--k", "4", "--json"]
    assert main(["similar", folder, *words]) == 0
    told = [song["track_id"] for song in json.loads(capsys.readouterr().out)["similar"]]
    found = audiomae.similar(folder, like=["bells-00"], unlike="drums-00", per_artist=1, k=4).similar
    rules = SongRules(k=4, per_artist=1)
    assert told == [song.track_id for song in found]
    assert found == find_similar(orchestra, ["bells-00"], ["drums-00"], rules=rules)


def test_a_path_is_asked_for_by_from_and_to(orchestra, capsys):
    folder = str(orchestra.vectors.folder)
    assert main(["similar", folder, "--from", "bells-00", "--to=drums-00", "--steps", "2"]) == 0
    out = capsys.readouterr().out
    assert "From bells-00 → drums-00" in out
    assert len([line for line in out.splitlines() if "bells " in line or "drums " in line]) >= 2
    assert len(audiomae.similar(folder, from_="bells-00", to="drums-00", steps=2).similar) == 4


def test_why_names_factors_and_seconds(orchestra, capsys):
    assert main(["similar", str(orchestra.vectors.folder), "--track", "bells-00", "--k", "2", "--why"]) == 0
    out = capsys.readouterr().out
    assert "rhythm" in out
    assert "Most alike from" in out


def test_all_writes_the_neighbours_of_every_song_and_how_uneven_they_are(orchestra, tmp_path, capsys):
    out = tmp_path / "near.parquet"
    assert main(["similar", str(orchestra.vectors.folder), "--all", "--k", "3", "--out", str(out)]) == 0
    assert "with hubs corrected" in capsys.readouterr().out
    assert out.exists()
