"""Generated songs: what is written, and whether the known answers can be heard in it."""

from __future__ import annotations

import csv
from functools import cache

import numpy as np
import pytest
import soundfile

from audiomae.errors import DataError
from audiomae.probing.labels import read_tasks
from data_prep.songs import table as listing
from data_prep.songs.generated import songs as generated
from data_prep.songs.generated.styles import STYLES
from data_prep.songs.generated.synthesis import INSTRUMENTS, SAMPLE_RATE

song = cache(generated.compose)


def spectrogram(samples, size, hop):
    """Magnitudes, (frames, size / 2 + 1)."""
    frames = np.lib.stride_tricks.sliding_window_view(samples, size)[::hop]
    return np.abs(np.fft.rfft(frames * np.hanning(size).astype(np.float32)))


def indices(*styles, count, seed=0):
    """The first songs of some styles."""
    of = {
        name: [i for i in range(10 * count) if generated.answers_of(i, seed).style == name] for name in styles
    }
    return [index for name in styles for index in of[name][:count]]


def test_songs_lie_beside_a_list_of_their_answers(tmp_path):
    found = list(generated.songs(tmp_path, 3, seed=4))
    assert list(listing.songs(tmp_path / "labels.csv")) == [
        listing.Song(entry.path, track_id=entry.track_id) for entry in found
    ]
    with (tmp_path / "labels.csv").open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert list(rows[0]) == ["path", "track_id", "style", "key", "tempo", "instrument"]
    for index, (row, entry) in enumerate(zip(rows, found, strict=True)):
        answers = generated.answers_of(index, 4)
        assert (row["style"], row["key"], row["instrument"]) == (
            answers.style,
            answers.key,
            answers.instrument,
        )
        assert float(row["tempo"]) == answers.tempo
        assert entry.genre == answers.style
        assert entry.track_id == f"generated-4-0000{index}"
        samples, rate = soundfile.read(entry.path, dtype="float32")
        assert rate == SAMPLE_RATE
        np.testing.assert_allclose(samples, generated.compose(index, 4), atol=1 / 2**15)


def test_the_answers_can_be_probed(tmp_path):
    list(generated.songs(tmp_path, 2))
    style, instrument = read_tasks(tmp_path / "probe.csv")
    known = [generated.answers_of(index, 0) for index in range(2)]
    assert (style.name, style.kind, list(style.labels)) == ("style", "classes", [one.style for one in known])
    assert list(instrument.labels) == [one.instrument for one in known]


def test_a_run_that_was_cut_off_ends_as_one_that_was_not(tmp_path, monkeypatch):
    list(generated.songs(tmp_path / "whole", 3))
    list(generated.songs(tmp_path / "cut", 2))
    (tmp_path / "cut/.00002-half.flac.7.tmp").write_bytes(b"half")
    made = []
    monkeypatch.setattr(generated, "compose", lambda *at: made.append(at) or song(*at))
    list(generated.songs(tmp_path / "cut", 3))
    assert made == [(2, 0)]
    whole, cut = ({p.name: p.read_bytes() for p in (tmp_path / n).iterdir()} for n in ("whole", "cut"))
    assert whole == cut


def test_a_song_depends_on_its_seed_and_index_alone():
    assert generated.answers_of(3, 0) == generated.answers_of(3, 0)
    np.testing.assert_array_equal(generated.compose(3, 0), song(3, 0))
    assert not np.array_equal(song(3, 0)[:1000], song(3, 1)[:1000])
    assert not np.array_equal(song(3, 0)[:1000], song(13, 0)[:1000])


def test_a_folder_of_another_seed_is_refused(tmp_path):
    list(generated.songs(tmp_path, 1, seed=0))
    with pytest.raises(DataError, match=r"holds songs of seed 0, not 1\. Use that seed, or another folder\."):
        list(generated.songs(tmp_path, 1, seed=1))


@pytest.mark.parametrize(("count", "seed"), [(0, 0), (100_001, 0), (1, -1)])
def test_counts_and_seeds_out_of_range_are_refused(tmp_path, count, seed):
    with pytest.raises(DataError, match=r"limits are 1 and 100000|the lowest is 0"):
        list(generated.songs(tmp_path, count, seed))


def test_every_ten_songs_hold_every_style_and_folds_by_index_stay_mixed():
    styles = [generated.answers_of(index, 0).style for index in range(400)]
    assert all(set(styles[start : start + 10]) == set(STYLES) for start in range(0, 400, 10))
    assert min(len(set(styles[fold::5])) for fold in range(5)) == len(STYLES)


def test_answers_are_in_range_and_differ_within_a_style():
    answers = [generated.answers_of(index, 0) for index in range(400)]
    assert all(20 <= one.seconds <= 40 for one in answers)
    assert all(np.prod(np.subtract(one.tempo, STYLES[one.style].tempo)) <= 0 for one in answers)
    assert {one.instrument for one in answers} <= set(INSTRUMENTS)
    waltzes = {(one.key, one.tempo) for one in answers if one.style == "waltz"}
    assert len(waltzes) == 40


@pytest.mark.parametrize("style", STYLES)
def test_every_style_sounds_from_start_to_end_without_clipping(style):
    (index,) = indices(style, count=1)
    samples = song(index, 0)
    assert samples.dtype == np.float32
    assert len(samples) == round(generated.answers_of(index, 0).seconds * SAMPLE_RATE)
    assert np.abs(samples).max() <= 1
    assert -25 < 10 * np.log10(np.mean(samples**2)) < -15
    silent = [part for part in np.array_split(samples, 8) if 10 * np.log10(np.mean(part**2)) < -50]
    assert not silent


def test_the_tempo_can_be_heard():
    """The onsets repeat at the beat, or at its half or double, as people hear it too."""
    heard = []
    for index in indices("techno", "rock", "chiptune", "reggae", count=2):
        known = generated.answers_of(index, 0).tempo
        spectra = spectrogram(song(index, 0)[: 20 * SAMPLE_RATE], 512, 220)
        onsets = np.maximum(np.diff(np.log1p(10 * spectra), axis=0), 0).mean(axis=1)
        likeness = np.correlate(onsets - onsets.mean(), onsets - onsets.mean(), "full")[len(onsets) - 1 :]
        lags = np.arange(25, 130)
        tempi = 60 * SAMPLE_RATE / 220 / lags
        tempo = tempi[np.argmax(likeness[lags] * np.exp(-0.5 * np.log2(tempi / 115) ** 2))]
        heard.append(min(abs(np.log(tempo / known * factor)) for factor in (0.5, 1, 2)) < 0.05)
    assert sum(heard) >= 7


def test_the_key_can_be_heard():
    """The pitch classes that sound most are those of the key's scale: its seven carry far more than 7/12."""
    shares = []
    for index in indices("baroque", "folk", "waltz", "ambient", count=2):
        known = generated.answers_of(index, 0)
        hz = np.fft.rfftfreq(8192, 1 / SAMPLE_RATE)[40:500]
        pitch_class = np.round(12 * np.log2(hz / 440) + 69).astype(int) % 12
        sound = spectrogram(song(index, 0), 8192, 8192)[:, 40:500].mean(axis=0)
        chroma = np.bincount(pitch_class, sound) / np.bincount(pitch_class)
        scale = (0, 2, 4, 5, 7, 9, 11) if known.mode == "major" else (0, 2, 3, 5, 7, 8, 10)
        best = max(range(12), key=lambda shift: sum(chroma[(shift + step) % 12] for step in scale))
        shares.append((best - known.tonic) % 12 in (0, 5, 7))
    assert sum(shares) >= 7


def test_two_styles_can_be_told_apart_by_their_mean_spectra():
    """The nearest class mean of the other songs, level taken away; chance is 0.5."""
    spectra = []
    for index in indices("ambient", "rock", count=5, seed=7):
        samples = generated.compose(index, 7)[5 * SAMPLE_RATE : 10 * SAMPLE_RATE]
        edges = np.unique(np.geomspace(2, 400, 41).astype(int))
        bands = np.log(np.add.reduceat(spectrogram(samples, 1024, 512) ** 2, edges, axis=1) + 1e-7)
        spectra.append(np.concatenate([bands.mean(axis=0) - bands.mean(), bands.std(axis=0)]))
    features, rock = np.array(spectra), np.arange(10) >= 5
    hits = 0
    for one in range(10):
        others = np.arange(10) != one
        means = [features[others & (rock == kind)].mean(axis=0) for kind in (False, True)]
        hits += np.argmin([np.linalg.norm(features[one] - mean) for mean in means]) == rock[one]
    assert hits >= 8
