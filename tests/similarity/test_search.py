from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from audiomae.errors import ConfigError, DataError
from audiomae.similarity.collection import Collection
from audiomae.similarity.rules import SongRules
from audiomae.similarity.search import find_similar


def groups(songs) -> list[str]:
    return [song.genre for song in songs]


def test_songs_of_the_examples_group_come_first_and_the_examples_do_not(orchestra):
    found = find_similar(orchestra, ["bells-00", "bells-01", "/music/bells/02.ogg"], rules=SongRules(k=17))
    assert groups(found) == ["bells"] * 17
    assert not {"bells-00", "bells-01", "bells-02"} & {song.track_id for song in found}
    assert [song.score for song in found] == sorted((song.score for song in found), reverse=True)


def test_counter_examples_push_their_kind_down(orchestra):
    both = ["bells-00", "drums-00"]
    mixed = find_similar(orchestra, both, rules=SongRules(k=38))
    turned = find_similar(orchestra, both, ["drums-01", "drums-02"], rules=SongRules(k=18))
    assert {"bells", "drums"} <= set(groups(mixed[:20]))
    assert groups(turned).count("drums") < groups(mixed[:18]).count("drums")


def test_a_larger_k_keeps_the_shorter_list_as_its_beginning(orchestra):
    short, long = (find_similar(orchestra, ["drums-03"], rules=SongRules(k=k)) for k in (5, 50))
    assert short == long[:5]
    assert len(find_similar(orchestra, ["drums-03"], rules=SongRules(k=500))) == 59


def test_at_most_so_many_of_an_artist_and_an_album(orchestra):
    found = find_similar(orchestra, ["bells-00"], rules=SongRules(k=30, per_artist=2, per_album=1))
    artists, albums = ([getattr(song, name) for song in found] for name in ("artist", "album"))
    assert max(map(artists.count, artists)) <= 2
    assert max(map(albums.count, albums)) == 1


@pytest.mark.parametrize(
    ("rules", "fits"),
    [
        ({"where": {"genre": "drums"}}, lambda about: about["genre"] == "drums"),
        ({"seconds": (100, 150)}, lambda about: 100 <= about["seconds"] <= 150),
        ({"tempo": (90, 110)}, lambda about: 90 <= about["tempo"] <= 110),
        ({"key": ("Am",)}, lambda about: about["key"] == "Am"),
    ],
)
def test_filters_leave_only_what_fits(orchestra, rules, fits):
    found = find_similar(orchestra, ["strings-00"], rules=SongRules(k=60, **rules))
    about = {row["track_id"]: row for row in orchestra.tracks.drop_columns("vector").to_pylist()}
    assert found
    assert all(fits(about[song.track_id]) for song in found)
    assert len(found) == sum(fits(row) for name, row in about.items() if name != "strings-00")


def test_a_least_similarity_ends_the_list(orchestra):
    every = find_similar(orchestra, ["bells-00"], rules=SongRules(k=59))
    found = find_similar(orchestra, ["bells-00"], rules=SongRules(k=59, least=0.2))
    assert 0 < len(found) < 59
    assert [song for song in every if song.cosine >= 0.2] == found


def test_factors_are_weighed(orchestra):
    even = find_similar(orchestra, ["bells-00"], by={"rhythm": 1}, rules=SongRules(k=29))
    assert {int(song.track_id[-2:]) % 2 for song in even} == {0}
    assert find_similar(orchestra, ["bells-00"], by={"learned": 2}) == find_similar(orchestra, ["bells-00"])


@pytest.mark.parametrize(
    ("by", "error", "text"),
    [
        ({"pitch": 1}, ConfigError, "by names 'pitch'; songs are compared by learned, timbre, rhythm, harmony"),
        ({"timbre": 0}, ConfigError, "one above 0"),
        ({"timbre": -1, "rhythm": 2}, ConfigError, "must be 0 or more"),
        ({"timbre": float("nan")}, ConfigError, "one above 0|0 or more"),
    ],
)
def test_weights_that_make_no_sense_are_refused(orchestra, by, error, text):
    with pytest.raises(error, match=text):
        find_similar(orchestra, ["bells-00"], by=by)


def test_factors_that_were_not_measured_are_refused_with_the_way_out(build):
    plain = build({"a": [[1.0, 0.0]], "b": [[0.0, 1.0]]})
    with pytest.raises(DataError, match="has no rhythm; its corpus was prepared before"):
        find_similar(plain, ["a"], by={"rhythm": 1})
    with pytest.raises(DataError, match="has no tempo"):
        find_similar(plain, ["a"], rules=SongRules(tempo=(80, 90)))


@pytest.fixture
def copies(build) -> Collection:
    rng = np.random.default_rng(1)
    clips = {f"song-{number:02d}": rng.standard_normal((1, 12)) for number in range(30)}
    clips["song-00-copy"] = clips["song-00"] + 0.01
    clips["song-00-cut"] = clips["song-00"] + 0.01
    clips["live"] = clips["song-01"] + 0.6 * rng.standard_normal((1, 12))
    about = {name: {"title": name, "artist": "x", "seconds": 100.0} for name in clips}
    about["song-00-cut"]["seconds"] = 40.0
    about["song-01"]["title"], about["live"]["title"] = "Moon", "Moon (Live in Rome)"
    return build(clips, about)


def test_near_copies_stay_out_unless_they_are_asked_for(copies):
    without = find_similar(copies, ["song-00"], rules=SongRules(k=40))
    with_copies = find_similar(copies, ["song-00"], rules=SongRules(k=40, duplicates=True))
    assert "song-00-copy" not in [song.track_id for song in without]
    assert "song-00-cut" in [song.track_id for song in without]  # another length is another edit
    assert {song.track_id for song in with_copies[:2]} == {"song-00-copy", "song-00-cut"}


def test_other_versions_go_on_request(copies):
    found = [song.track_id for song in find_similar(copies, ["song-01"], rules=SongRules(k=40, versions=False))]
    assert "live" not in found
    assert "live" in [song.track_id for song in find_similar(copies, ["song-01"], rules=SongRules(k=40))]


def test_playlists_name_songs_and_open_nothing(orchestra, tmp_path, caplog):
    secret = tmp_path / "secret.wav"
    secret.write_bytes(b"no audio, and nobody should look")
    mix = tmp_path / "mix.m3u8"
    mix.write_text(f"#EXTM3U\n#EXTINF:60,x\n../bells/03.ogg\n/music/bells/04.ogg\n{secret}\n", encoding="utf-8")
    named = find_similar(orchestra, ["bells-03", "bells-04"])
    assert find_similar(orchestra, [str(mix)]) == named
    assert "passed over" in caplog.text
    table = tmp_path / "mix.csv"
    table.write_text("title,track_id\nx,bells-03\ny,bells-04\n", encoding="utf-8")
    assert find_similar(orchestra, [str(table)]) == named
    mix.write_text("nowhere.ogg\n", encoding="utf-8")
    with pytest.raises(DataError, match="none of its 1 songs is in"):
        find_similar(orchestra, [str(mix)])


def test_a_file_without_its_model_is_refused_with_the_way_out(orchestra, tmp_path):
    song = tmp_path / "other.wav"
    song.write_bytes(b"RIFF")
    with pytest.raises(ConfigError, match="add --model run/"):
        find_similar(orchestra, [str(song)])


def test_hubs_are_found_less_often_once_they_are_corrected(build, tmp_path: Path):
    rng = np.random.default_rng(2)
    songs = rng.standard_normal((300, 40))
    songs[:10] *= 0.05  # near the centre: near to everything
    collection = build({f"{number:03d}": [song] for number, song in enumerate(songs)})
    counts = {}
    for hubs in (False, True):
        names = [
            song.track_id
            for number in range(300)
            for song in find_similar(collection, [f"{number:03d}"], hubs=hubs, rules=SongRules(duplicates=True))
        ]
        counts[hubs] = max(map(names.count, set(names)))
    assert counts[True] < counts[False]
    assert asdict(find_similar(collection, ["001"], hubs=False)[0])["score"] <= 1
