"""GTZAN's layout."""

from __future__ import annotations

import pytest

from audiomae.corpus.song import Song
from audiomae.errors import MissingError
from data_prep.songs import gtzan


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")


@pytest.mark.parametrize("inside", ["genres", "genres_original", "Data/genres_original", "."])
@pytest.mark.parametrize("ending", ["wav", "au"])
def test_songs_come_genre_by_genre_from_every_form_of_the_archive(tmp_path, inside, ending):
    folder = tmp_path / inside
    touch(folder, f"rock/rock.00001.{ending}", f"blues/blues.00001.{ending}", f"blues/blues.00000.{ending}")
    touch(
        folder,
        "blues/notes.txt",
        f"blues/blues.{ending}",
        f"blues/rock.00009.{ending}",
        f"blues.00007.{ending}",
    )
    assert list(gtzan.songs(tmp_path)) == [
        Song(folder / f"blues/blues.00000.{ending}", track_id="blues.00000", genre="blues"),
        Song(folder / f"blues/blues.00001.{ending}", track_id="blues.00001", genre="blues"),
        Song(folder / f"rock/rock.00001.{ending}", track_id="rock.00001", genre="rock"),
    ]


def test_a_song_in_both_formats_is_yielded_once(tmp_path):
    touch(tmp_path, "genres/jazz/jazz.00054.wav", "genres/jazz/jazz.00054.au")
    assert [song.track_id for song in gtzan.songs(tmp_path)] == ["jazz.00054"]


def test_a_folder_without_gtzan_songs_is_refused(tmp_path):
    touch(tmp_path, "genres/rock/song.wav")
    with pytest.raises(MissingError, match=r"no GTZAN songs such as genres/blues/blues\.00000\.wav"):
        list(gtzan.songs(tmp_path))
