from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from audiomae.errors import ConfigError, DataError, FingerprintError
from audiomae.recommend.catalogue.catalogue import Catalogue
from audiomae.recommend.serving.recommender import Recommender
from audiomae.verbs.update_catalogue import UpdateCatalogueSettings, update_catalogue


def listed(folder: str, k: int) -> list[str]:
    return [song.track_id for song in Recommender.open(folder).recommend(new={"age": 20}, k=k)[0].songs]


def test_songs_are_added_replaced_and_removed_without_training(own_tastes, write_vectors, tmp_path):
    folder = own_tastes
    before = Catalogue.open(Path(folder) / "catalogue")
    new = write_vectors(tmp_path / "new.parquet", ["c90", "m90"])
    done = update_catalogue(UpdateCatalogueSettings(folder, add=new))
    assert (done.before, done.changed, done.tracks, done.there) == (60, 2, 62, 0)
    assert "c90" in listed(folder, 31)
    # A calm song given the vector of a loud one leaves the calm lists.
    turned = pq.read_table(new).slice(1, 1).set_column(0, "track_id", pa.array(["c90"]))
    pq.write_table(turned, tmp_path / "turned.parquet")
    done = update_catalogue(UpdateCatalogueSettings(folder, replace=str(tmp_path / "turned.parquet")))
    assert (done.before, done.changed, done.tracks) == (62, 1, 62)
    assert "c90" not in listed(folder, 20)
    done = update_catalogue(UpdateCatalogueSettings(folder, remove=("c90", "m90")))
    assert (done.before, done.changed, done.tracks) == (62, 2, 60)
    after = Catalogue.open(Path(folder) / "catalogue")
    assert after.items.equals(before.items)
    np.testing.assert_array_equal(after.projected, before.projected)


def test_an_addition_run_again_leaves_the_catalogue_as_it_is(own_tastes, write_vectors, tmp_path):
    settings = UpdateCatalogueSettings(
        own_tastes, add=write_vectors(tmp_path / "new.parquet", ["c90", "m90"])
    )
    first, second = update_catalogue(settings), update_catalogue(settings)
    assert (second.changed, second.there, second.tracks) == (0, 2, 62)
    assert second.version == first.version


def test_an_open_recommender_follows_its_own_changes(own_tastes, write_vectors, tmp_path):
    opened = Recommender.open(own_tastes)
    assert opened.add(write_vectors(tmp_path / "new.parquet", ["c90"])).changed == 1
    assert "c90" in opened.track_ids
    assert "c90" in [song.track_id for song in opened.recommend(new={"age": 20}, k=31)[0].songs]
    assert opened.remove("c90,c00").tracks == len(opened) == 59
    assert "c90" not in opened.track_ids
    turned = write_vectors(tmp_path / "turned.parquet", ["m01"])
    assert opened.replace(turned).changed == 1


@pytest.mark.parametrize(
    ("content", "kind", "line"),
    [
        ({"encoder": "other"}, FingerprintError, "the vectors are of encoder other, the catalogue's of enc"),
        ({"dim": 5}, FingerprintError, "the vectors have 5 entries, the catalogue's have 6"),
        ({"broken": True}, DataError, "NaN"),
    ],
)
def test_vectors_that_do_not_fit_are_refused(tastes, write_vectors, tmp_path, content, kind, line):
    path = write_vectors(tmp_path / "new.parquet", ["c95"], **content)
    before = Catalogue.open(Path(tastes) / "catalogue").meta
    with pytest.raises(kind, match=line) as caught:
        update_catalogue(UpdateCatalogueSettings(tastes, add=path))
    assert "\n" not in str(caught.value)
    assert Catalogue.open(Path(tastes) / "catalogue").meta == before


def test_an_update_does_one_thing():
    with pytest.raises(ConfigError, match="update-catalogue does one thing at a time"):
        UpdateCatalogueSettings("rec")
    with pytest.raises(ConfigError, match="update-catalogue does one thing at a time"):
        UpdateCatalogueSettings("rec", add="a", remove=("b",))
