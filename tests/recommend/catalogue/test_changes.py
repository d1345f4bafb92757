from __future__ import annotations

import multiprocessing
import os
import signal
from pathlib import Path

import numpy as np
import pytest

from audiomae.disk.files import locked
from audiomae.errors import DataError, FingerprintError
from audiomae.listening.tables import Interactions
from audiomae.recommend.catalogue import files as catalogue_files
from audiomae.recommend.catalogue.catalogue import Catalogue
from audiomae.recommend.catalogue.changes import add_tracks, remove_tracks, replace_tracks
from audiomae.vectors.search import unit_rows

NAMES = [f"t{place:03d}" for place in range(40)]


class Vectors:
    """Item vectors of a fake tower."""

    def __init__(self, projected: np.ndarray, history: np.ndarray) -> None:
        self.projected, self.history = projected, history


class Tower:
    """Takes the first three entries of the content; even tracks have an own vector beside."""

    def __init__(self, fingerprint: str = "towers") -> None:
        self.fingerprint = fingerprint

    def embed_items(self, content: np.ndarray, track_ids: list[str]) -> Vectors:
        own = np.array([[0, 0, 1 - int(name[1:]) % 2] for name in track_ids], np.float32)
        return Vectors(content[:, :3] + own, content[:, :3])


def plays(track_ids: list[str]) -> Interactions:
    """A track is played as often as its number says, some never."""
    tracks = [row for row, name in enumerate(track_ids) for _ in range(max(0, int(name[1:]) - 10))]
    codes = np.array(tracks, int)
    return Interactions.build(["u"], track_ids, np.zeros(len(codes), int), codes, np.arange(len(codes)) + 5)


def create(folder: Path, content, played: list[str] = NAMES) -> Catalogue:
    known = plays(played).align(content.track_ids)
    return Catalogue.create(folder, content, Tower(), known)


def same(first: Catalogue, second: Catalogue) -> None:
    assert first.items.equals(second.items)
    for name in ("projected", "history", "unit", "log_prior"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))


def test_added_tracks_make_the_catalogue_that_would_have_been_made_afresh(tmp_path, make_content):
    create(tmp_path / "live", make_content(NAMES))
    added = ["t0005", "t050"]
    live = add_tracks(tmp_path / "live", make_content(added), Tower()).after
    whole = make_content([*NAMES, *added])
    fresh = create(tmp_path / "fresh", whole)
    same(live, fresh)
    same(Catalogue.open(tmp_path / "live"), fresh)
    assert live.meta["version"] == "v00002"
    assert [path.name for path in (tmp_path / "live").glob("v*")] == ["v00002"]


def test_tracks_that_are_there_with_the_same_vectors_are_not_added_again(tmp_path, make_content):
    before = create(tmp_path / "live", make_content(NAMES))
    again = add_tracks(tmp_path / "live", make_content(["t003", "t020"]), Tower())
    assert again[1:] == (40, 0, 2, 0)
    assert again.after.meta == before.meta
    grown = add_tracks(tmp_path / "live", make_content(["t003", "t900"]), Tower())
    assert grown[1:] == (40, 1, 1, 0)
    assert grown.after.track_ids == [*NAMES, "t900"]


def test_replaced_tracks_get_new_vectors_and_keep_their_plays(tmp_path, make_content):
    create(tmp_path / "live", make_content(NAMES))
    other = make_content(["t020", "t003"], seed=7)
    live = replace_tracks(tmp_path / "live", other, Tower()).after
    whole = make_content(NAMES)
    for row, name in enumerate(other.track_ids):
        whole.vectors[NAMES.index(name)] = other.vectors[row]
    same(live, create(tmp_path / "fresh", whole))
    assert live.plays[20] == 10


def test_removed_tracks_leave_the_others_as_they_were(tmp_path, make_content):
    before = create(tmp_path / "live", make_content(NAMES))
    after = remove_tracks(tmp_path / "live", ["t039", "t000"]).after
    assert after.track_ids == NAMES[1:-1]
    np.testing.assert_array_equal(after.log_prior, before.log_prior[1:-1])
    np.testing.assert_array_equal(after.projected, before.projected[1:-1])


def test_removing_and_adding_again_forgets_only_the_plays(tmp_path, make_content):
    before = create(tmp_path / "live", make_content(NAMES))
    remove_tracks(tmp_path / "live", ["t030"])
    after = add_tracks(tmp_path / "live", make_content(["t030"]), Tower()).after
    np.testing.assert_array_equal(after.projected, before.projected)
    assert after.plays[30] == 0
    assert after.log_prior[30] == before.log_prior[0]


def test_inverted_lists_follow_every_change(tmp_path, make_content):
    folder, names = tmp_path / "live", [f"t{place:03d}" for place in range(300)]
    create(folder, make_content(names), names)
    queries = unit_rows(np.random.default_rng(0).normal(size=(30, 3)))
    Catalogue.open(folder).build_lists(queries, scale=8.0, gamma=0.5, k=10, target=1.0)
    add_tracks(folder, make_content([f"t{place}" for place in range(300, 340)]), Tower())
    replace_tracks(folder, make_content(["t100", "t250"], seed=3), Tower())
    after = remove_tracks(folder, ["t000", "t299", "t310"]).after
    opened = Catalogue.open(folder)
    assert opened.meta["index"]["recall"] == after.meta["index"]["recall"] >= 0.999
    index = opened.index(scale=8.0, gamma=0.5)
    index.exact_below = 0
    exact = opened.index(scale=8.0, gamma=0.5).search(queries, 10)
    assert (index.search(queries, 10).rows == exact.rows).all()


def test_what_does_not_fit_is_refused_and_nothing_changes(tmp_path, make_content):
    folder = tmp_path / "live"
    before = create(folder, make_content(NAMES))
    new = make_content(["t900"])
    broken = make_content(["t900"])
    broken.vectors[0, 0] = np.inf
    cases = [
        (
            lambda: add_tracks(folder, new, Tower("old")),
            FingerprintError,
            "made with towers towers, these are old",
        ),
        (
            lambda: add_tracks(folder, make_content(["t900"], encoder="other"), Tower()),
            FingerprintError,
            "the vectors are of encoder other, the catalogue's of enc. Export the songs",
        ),
        (
            lambda: add_tracks(folder, make_content(["t900"], dim=5), Tower()),
            FingerprintError,
            "the vectors have 5 entries, the catalogue's have 6",
        ),
        (lambda: add_tracks(folder, broken, Tower()), DataError, "track 't900': its vector holds NaN"),
        (
            lambda: add_tracks(folder, make_content(["t900", "t003"], seed=1), Tower()),
            DataError,
            "track 't003' is already in .*live, with another vector. Give it new vectors by --replace",
        ),
        (
            lambda: replace_tracks(folder, new, Tower()),
            DataError,
            "track 't900' is not among the 40 of .*live. New tracks are added with --add",
        ),
        (lambda: remove_tracks(folder, ["x"]), DataError, "track 'x' is not among the 40"),
        (lambda: remove_tracks(folder, ["t001", "t001"]), DataError, "track 't001' is named twice"),
        (lambda: remove_tracks(folder, ["t001", "song 1"]), DataError, "track 't001' is named twice"),
        (lambda: remove_tracks(folder, []), DataError, "no track is named"),
        (lambda: remove_tracks(folder, NAMES), DataError, "removing all 40 tracks leaves none"),
        (lambda: add_tracks(folder, make_content([]), Tower()), DataError, "no track is named"),
    ]
    for change, kind, line in cases:
        with pytest.raises(kind, match=line):
            change()
    assert Catalogue.open(folder).meta == before.meta


def test_two_writers_do_not_meet(tmp_path, make_content):
    create(tmp_path / "live", make_content(NAMES))
    with (
        locked(tmp_path / "live"),
        pytest.raises(DataError, match="another audiomae process is writing here"),
    ):
        remove_tracks(tmp_path / "live", ["t001"])


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("step", range(7))
def test_a_kill_in_the_middle_of_a_change_leaves_the_old_catalogue_or_the_new(tmp_path, make_content, step):
    """The process dies before each write, rename and removal in turn."""
    folder = tmp_path / "live"
    before = create(folder, make_content(NAMES))
    child = multiprocessing.get_context("fork").Process(target=_die_at, args=(folder, step))
    child.start()
    child.join()
    after = Catalogue.open(folder)
    assert len(after) in (40, 39)
    if len(after) == 40:
        assert after.meta == before.meta
        assert child.exitcode == -signal.SIGKILL
    create(tmp_path / "unbroken", make_content(NAMES))
    remove_tracks(tmp_path / "unbroken", ["t001"])
    again = remove_tracks(folder, ["t001"])
    assert again.changed + again.gone == 1
    assert files(folder) == files(tmp_path / "unbroken")


def test_a_change_made_again_leaves_every_byte_as_it_is(tmp_path, make_content):
    folder = tmp_path / "live"
    create(folder, make_content(NAMES))
    first = files(folder)
    create(folder, make_content(NAMES))
    assert files(folder) == first
    other = make_content(["t020", "t003"], seed=7)
    for change in (
        lambda: add_tracks(folder, make_content(["t900"]), Tower()),
        lambda: replace_tracks(folder, other, Tower()),
        lambda: remove_tracks(folder, ["t001", "t900"]),
    ):
        change()
        once = files(folder)
        change()
        assert files(folder) == once
    remove_tracks(folder, ["t002"])
    with pytest.raises(DataError, match="track 't001' is not among the 38"):  # another removal came between
        remove_tracks(folder, ["t001", "t900"])


def files(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file() and path.name != ".lock")
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def _die_at(folder: Path, step: int) -> None:
    calls = iter(range(100))

    def counted(function):
        def call(*args, **named):
            if next(calls) == step:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*args, **named)

        return call

    catalogue_files.write_atomically = counted(catalogue_files.write_atomically)
    catalogue_files.write_json = counted(catalogue_files.write_json)
    catalogue_files._sync = counted(catalogue_files._sync)
    catalogue_files.shutil.rmtree = counted(catalogue_files.shutil.rmtree)
    remove_tracks(folder, ["t001"])


def test_a_reader_that_meets_a_change_reads_the_new_version(tmp_path, make_content, monkeypatch):
    folder = tmp_path / "live"
    create(folder, make_content(NAMES))
    real, calls = catalogue_files.read_json, []

    def change_after_the_first(path, **named):
        meta = real(path, **named)
        calls.append(meta["version"])
        if len(calls) == 1:
            monkeypatch.setattr(catalogue_files, "read_json", real)
            remove_tracks(folder, ["t001"])
            monkeypatch.setattr(catalogue_files, "read_json", change_after_the_first)
        return meta

    monkeypatch.setattr(catalogue_files, "read_json", change_after_the_first)
    assert len(Catalogue.open(folder)) == 39
    assert calls[0] == "v00001"
