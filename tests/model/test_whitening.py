from __future__ import annotations

import resource

import numpy as np
import pytest
from safetensors.numpy import save_file
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from audiomae.errors import DataError, MissingError, StorageError
from audiomae.model.whitening import Whitening
from audiomae.vectors.search import nearest


@pytest.fixture
def vectors() -> np.ndarray:
    generator = np.random.default_rng(0)
    return (generator.normal(size=(300, 10)) @ generator.normal(size=(10, 10)) + 40).astype(np.float32)


def test_whitened_vectors_are_uncorrelated_with_variance_1(vectors):
    white = Whitening.fit(vectors, 6).transform(vectors)
    assert white.shape == (300, 6)
    assert white.dtype == np.float32
    # float32 of values near 40: 1e-5 relative, blown up by the weakest direction.
    assert np.allclose(np.cov(white.T, bias=True), np.eye(6), atol=1e-3)
    assert np.allclose(white.mean(axis=0), 0, atol=1e-3)


def test_it_equals_standardising_and_then_scikit_learns_whitened_pca(vectors):
    ours = Whitening.fit(vectors, 4).transform(vectors)
    theirs = PCA(4, whiten=True, svd_solver="full").fit_transform(StandardScaler().fit_transform(vectors))
    theirs *= np.sqrt(len(vectors) / (len(vectors) - 1))
    signs = np.sign((ours * theirs).sum(axis=0))
    assert np.allclose(ours, theirs * signs, atol=1e-3)


def test_blocks_give_what_one_array_gives(vectors):
    whole = Whitening.fit(vectors, 5)
    parts = Whitening.fit(iter(np.split(vectors, [7, 150])), 5)
    # Sums in another order; float64, then rounded to float32.
    assert np.allclose(whole.matrix, parts.matrix, atol=1e-5)
    assert np.allclose(whole.mean, parts.mean, atol=1e-4)


def test_an_entry_that_never_changes_does_no_harm(vectors):
    vectors[:, 3] = 1.25
    white = Whitening.fit(vectors, 9).transform(vectors)
    assert np.allclose(np.cov(white.T, bias=True), np.eye(9), atol=1e-3)


def test_more_directions_than_the_vectors_have_are_refused_or_left_out(vectors):
    vectors[:, 5:] = vectors[:, :5]
    with pytest.raises(DataError, match=r"differ in 5 directions only.*--whiten 5"):
        Whitening.fit(vectors, 8)
    assert Whitening.fit(vectors, 8, at_most=True).dims == 5


def test_too_few_clips_are_refused(vectors):
    with pytest.raises(DataError, match=r"there are 4 clips of 10\. Use --whiten 3"):
        Whitening.fit(vectors[:4], 8)


def test_it_survives_the_disk_to_the_bit(vectors, tmp_path):
    path = tmp_path / "w.safetensors"
    whitening = Whitening.fit(vectors, 5, {"layer": "3"})
    whitening.save(path)
    again = Whitening.load(path)
    assert again.about == {"layer": "3"}
    assert again.fingerprint == whitening.fingerprint
    assert np.array_equal(again.transform(vectors), whitening.transform(vectors))
    first = path.read_bytes()
    again.save(path)
    assert path.read_bytes() == first


def test_vectors_of_another_length_are_refused(vectors):
    with pytest.raises(DataError, match="takes vectors of 10 entries, not 4"):
        Whitening.fit(vectors, 5).transform(vectors[:, :4])


def test_a_file_that_is_no_whitening_is_refused(vectors, tmp_path):
    path = tmp_path / "w.safetensors"
    with pytest.raises(MissingError, match="no such whitening"):
        Whitening.load(path)
    save_file({"weights": np.zeros(3, np.float32)}, path)
    with pytest.raises(DataError, match="holds weights, not a whitening"):
        Whitening.load(path)
    Whitening.fit(vectors, 5).save(path)
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(MissingError, match="cut short"):
        Whitening.load(path)


def test_within_tracks_every_direction_comes_out_equally_wide():
    generator = np.random.default_rng(0)
    mix = generator.normal(size=(6, 6))
    tracks = [
        (generator.normal(size=6) * 3 + generator.normal(size=(40, 6)) * [5, 4, 3, 2, 1, 1]) @ mix
        for _ in range(50)
    ]
    white = Whitening.fit_within(tracks, dims=6)
    inside = np.concatenate(
        [white.transform(track) - white.transform(track).mean(axis=0) for track in tracks]
    )
    # 0.1 % of the whole variance is added before scaling, so the spread falls a little short of 1.
    np.testing.assert_allclose(inside.T @ inside / len(inside), np.eye(6), atol=0.05)


def test_within_track_whitening_finds_the_other_clips_of_a_track_where_plain_pca_does_not():
    generator = np.random.default_rng(1)
    # What tells tracks apart is small beside what varies within them.
    tracks = [
        np.concatenate(
            [generator.normal(size=(1, 3)).repeat(6, 0), generator.normal(size=(6, 9)) * 4], axis=1
        )
        for _ in range(60)
    ]
    mix = generator.normal(size=(12, 12))
    tracks = [track @ mix for track in tracks]
    owner = np.repeat(np.arange(60), 6)

    def rank_1(white: Whitening) -> float:
        vectors = np.concatenate([white.transform(track) for track in tracks])
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        cosines = vectors @ vectors.T
        np.fill_diagonal(cosines, -9)
        return float((owner[cosines.argmax(axis=1)] == owner).mean())

    assert rank_1(Whitening.fit_within(tracks, dims=12)) > 0.9
    assert rank_1(Whitening.fit(tracks, dims=12)) < 0.5


def test_a_full_disk_gives_one_line_and_leaves_what_was_there(vectors, tmp_path):
    path = tmp_path / "w.safetensors"
    Whitening.fit(vectors, 2).save(path)
    before = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        with pytest.raises(StorageError, match="cannot write"):
            Whitening.fit(vectors, 5).save(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def make_tracks() -> list[np.ndarray]:
    """Tracks told apart by the first three entries; clips of one track differ most in the others."""
    generator = np.random.default_rng(1)
    centres = generator.normal(0, 1, (40, 6)) * [1, 1, 1, 0.1, 0.1, 0.1]
    return [
        (one + generator.normal(0, 1, (9, 6)) * [0.1, 0.1, 0.1, 2, 2, 2]).astype(np.float32)
        for one in centres
    ]


def test_clips_of_a_track_vary_equally_in_every_direction_after_whitening_within():
    tracks = make_tracks()
    whitening = Whitening.fit_within(iter(tracks), 6)
    inner = np.concatenate([whitening.transform(one) for one in tracks])
    inner -= np.repeat(inner.reshape(40, 9, 6).mean(axis=1), 9, axis=0)
    covariance = np.cov(inner.T, bias=True)
    # A thousandth of the whole variance is added to that within tracks; the first three have 100 times as much.
    assert np.allclose(covariance, np.diag(covariance.diagonal()), atol=0.02)
    assert covariance.diagonal() == pytest.approx(np.ones(6), abs=0.15)


def test_whitening_within_brings_out_what_tells_tracks_apart():
    tracks = make_tracks()
    names = np.repeat(np.arange(40), 9).astype(str)
    every = np.concatenate(tracks)
    within = Whitening.fit_within(iter(tracks), 6).transform(every)
    plain = Whitening.fit(every, 6).transform(every)
    hits = [(names[nearest(v, v, 1, without=range(360)).rows[:, 0]] == names).mean() for v in (plain, within)]
    assert hits[1] > hits[0] + 0.1


def test_soft_whitening_takes_the_root_of_how_clips_of_a_track_differ():
    tracks = make_tracks()
    every, owner = np.concatenate(tracks), np.repeat(np.arange(40), 9)
    white = Whitening.fit_soft(iter(tracks), 6)

    def inside(rows: np.ndarray) -> np.ndarray:
        means = np.stack([rows[owner == track].mean(axis=0) for track in range(40)])
        return np.linalg.eigvalsh(np.cov((rows - means[owner]).T, bias=True))

    standard = inside(StandardScaler().fit_transform(every))
    # Of variances, the root; less a thousandth of the largest that is added to each before.
    assert inside(white.transform(every)) == pytest.approx(
        np.sort(standard / np.sqrt(standard + 1e-3 * standard.max())), rel=1e-3
    )


def test_soft_whitening_shares_the_spread_out_so_that_standardising_keeps_its_lengths():
    generator = np.random.default_rng(2)
    scales = np.geomspace(100, 1, 64)
    tracks = [generator.normal(size=64) + generator.normal(size=(6, 64)) * scales for _ in range(60)]
    mix = np.linalg.qr(generator.normal(size=(64, 64)))[0]
    white = Whitening.fit_soft((track @ mix for track in tracks), 64).transform(np.concatenate(tracks) @ mix)
    spread = white.std(axis=0)
    assert spread.max() < 2 * spread.min()
    lengths = np.linalg.eigvalsh(np.cov(white.T, bias=True))
    again = np.linalg.eigvalsh(np.cov(StandardScaler().fit_transform(white).T, bias=True))
    assert lengths[-1] > 3 * lengths[0]
    assert np.corrcoef(np.log(lengths), np.log(again))[0, 1] > 0.99
    assert (
        Whitening.fit_soft((track @ mix for track in tracks), 64).fingerprint
        == Whitening.fit_soft((track @ mix for track in tracks), 64).fingerprint
    )


def test_soft_whitening_of_one_clip_a_track_is_refused(vectors):
    with pytest.raises(DataError, match=r"do not differ from each other \(300 clips\).*--whiten_kind pca"):
        Whitening.fit_soft((row[None] for row in vectors), 5)
