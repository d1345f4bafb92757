"""The recommender's folder: what is in it is checked before anything is made of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from audiomae.disk.files import fingerprint_of
from audiomae.errors import AudiomaeError, DataError, FingerprintError, MissingError
from audiomae.recommend.catalogue import files as catalogue_files
from audiomae.recommend.folder import RecommenderFolder
from audiomae.recommend.serving.recommender import Recommender


def edit(path: Path, **changes: Any) -> None:
    """Change a JSON file, its fingerprint with it, as somebody who means harm could."""
    meta = json.loads(path.read_text()) | changes
    if path.name == "catalogue.json":
        meta["fingerprint"] = fingerprint_of({key: one for key, one in meta.items() if key != "fingerprint"})
    path.write_text(json.dumps(meta))


def rewrite(folder: Path, **files: Any) -> None:
    """Give the catalogue's version other contents, with the sizes and the digest that fit."""
    place = folder / "catalogue" / "v00001"
    for name, content in files.items():
        if name == "items":
            pq.write_table(content, place / "items.parquet")
        else:
            np.save(place / f"{name}.npy", content)
    names = sorted(json.loads((folder / "catalogue" / "catalogue.json").read_text())["bytes"])
    ordered = [name for name in catalogue_files.FILES if name in names]
    edit(
        folder / "catalogue" / "catalogue.json",
        bytes={name: (place / name).stat().st_size for name in names},
        digest=fingerprint_of(*[(place / name).read_bytes() for name in ordered]),
    )


def refuse(folder: Path, kind: type[AudiomaeError], line: str) -> None:
    with pytest.raises(kind, match=line) as caught:
        Recommender.open(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "version", ["../v00001", "/etc", "v00001/../../elsewhere", "v1", "", ".", None, 7, ["v00001"]]
)
def test_a_version_that_is_not_a_plain_name_is_never_opened(make_recommender, version):
    folder = make_recommender(20)
    edit(folder / "catalogue" / "catalogue.json", version=version)
    refuse(folder, DataError, r"catalogue.json: version is .*; it must be a name like v00001")


@pytest.mark.parametrize("name", ["../../tables/users.parquet", "/etc/passwd", "other.npy"])
def test_a_file_of_another_name_is_never_opened(make_recommender, name):
    folder = make_recommender(20)
    sizes = json.loads((folder / "catalogue" / "catalogue.json").read_text())["bytes"]
    edit(folder / "catalogue" / "catalogue.json", bytes={**sizes, name: 10})
    refuse(folder, DataError, "catalogue.json: bytes must give the sizes of items.parquet")


@pytest.mark.parametrize("name", ["items.parquet", "projected.npy", "history.npy"])
def test_damaged_bytes_of_the_catalogue_are_refused_wherever_they_are(make_recommender, name):
    folder = make_recommender(60)
    path = folder / "catalogue" / "v00001" / name
    raw = bytearray(path.read_bytes())
    raw[-400:-300] = bytes(100)
    path.write_bytes(raw)
    refuse(folder, MissingError, r"v00001: damaged, its [0-9,]+ bytes are not those that were written")


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("name", ["projected", "history"])
def test_vectors_that_no_search_can_order_are_refused(make_recommender, name, value):
    folder = make_recommender(60)
    array = np.load(folder / "catalogue" / "v00001" / f"{name}.npy")
    array[17, 3] = value
    rewrite(folder, **{name: array})
    refuse(folder, DataError, rf"v00001: the {name} vector of track 17 holds NaN or infinity")


def test_arrays_and_ids_that_do_not_fit_each_other_are_refused(make_recommender):
    folder = make_recommender(20)
    place = folder / "catalogue" / "v00001"
    items, projected = pq.read_table(place / "items.parquet"), np.load(place / "projected.npy")
    ids = items["track_id"].to_pylist()
    for changed, line in (
        ({"projected": projected[:-1]}, r"projected.npy: holds float32 \(19, 16\), not float32 \(20, 16\)"),
        ({"projected": projected.astype(np.float64)}, "projected.npy: holds float64"),
        ({"items": items.slice(1)}, "items.parquet: 19 tracks of 20"),
        ({"items": items.drop_columns(["plays"])}, "items.parquet: column plays is missing"),
        ({"items": items.set_column(0, "track_id", pa.array([*ids[:-1], None]))}, "have no track_id"),
        ({"items": items.set_column(0, "track_id", pa.array(ids[::-1]))}, "not sorted, or one comes twice"),
        ({"items": items.set_column(0, "track_id", pa.array([ids[0], *ids[:-1]]))}, "or one comes twice"),
    ):
        rewrite(folder, **changed)
        refuse(folder, DataError, line)
        rewrite(folder, items=items, projected=projected)
    assert len(Recommender.open(folder)) == 20


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"scale": -2.5}, "scale is -2.5; it must be a number above 0"),
        ({"gamma": None}, "gamma is None; it must be a number"),
        ({"gamma": "much"}, "gamma is 'much'; it must be a number"),
        ({"towers_fingerprint": None}, "towers_fingerprint is None; it must be text"),
    ],
)
def test_numbers_that_every_score_needs_are_checked(make_recommender, change, line):
    folder = make_recommender(20)
    edit(folder / "recommender.json", **change)
    refuse(folder, DataError, rf"recommender.json: {line}. Run audiomae train-towers again")


def test_parts_of_another_training_are_refused(make_recommender):
    folder = make_recommender(20)
    edit(folder / "catalogue" / "catalogue.json", towers_fingerprint="old")
    refuse(folder, FingerprintError, r"catalogue: was made with towers old, those in .* are")


def test_tables_that_are_damaged_are_refused(make_recommender):
    folder = make_recommender(20)
    path = folder / "tables" / "train.parquet"
    plays = pq.read_table(path)
    path.write_bytes(path.read_bytes()[:-30] + bytes(22) + path.read_bytes()[-8:])
    refuse(folder, MissingError, "train.parquet: damaged, its bytes are not those that were written")
    pq.write_table(plays.slice(1), path)
    refuse(folder, MissingError, "train.parquet: damaged, its bytes are not those that were written")
    edit(folder / "recommender.json", tables_digests=None)  # as earlier versions left it
    assert len(Recommender.open(folder)) == 20
    gone = pa.array([None, *plays["track_id"].to_pylist()[1:]], pa.string())
    pq.write_table(plays.set_column(1, "track_id", gone), path)
    refuse(
        folder,
        MissingError,
        "train.parquet: column track_id has empty cells, which it must not. Run audiomae",
    )
    pq.write_table(plays.drop_columns(["weight"]), path)
    refuse(folder, MissingError, "train.parquet: column weight is missing")
    pq.write_table(plays, path)
    (folder / "tables" / "users.parquet").write_bytes(b"PAR1")
    refuse(folder, MissingError, r"users.parquet: .* Run audiomae train-towers again")
    with pytest.raises(ValueError, match="no slice"):
        RecommenderFolder(folder).read_plays("../x")


def test_a_catalogue_without_paths_still_opens(make_recommender):
    folder = make_recommender(20)
    items = pq.read_table(folder / "catalogue" / "v00001" / "items.parquet")
    rewrite(folder, items=items.drop_columns(["path"]))
    songs = Recommender.open(folder).recommend("u00", k=3)[0].songs
    assert [song.path for song in songs] == [""] * 3
