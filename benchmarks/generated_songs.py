"""Can the known answers of generated songs be heard? Writes a Markdown table to stdout.

usage: python benchmarks/generated_songs.py [SONGS]     300 songs by default, a few minutes on one core

tempo       librosa's estimate within 6 % of the answer, or of its double, half, or 3:2
key         best of 24 key profiles on the mean chroma; "near" counts the relative key and the fifths
style       linear probe on 5-s clips, three a song, folds grouped by song; chance is 0.1
"""

from __future__ import annotations

import sys
import time
import warnings

import librosa
import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from data_prep.songs.generated.songs import Answers, answers_of, compose
from data_prep.songs.generated.synthesis import SAMPLE_RATE

SEED = 7
HOP = 256
# Krumhansl & Kessler 1982: how well each pitch class fits a major and a minor key.
MAJOR = (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88)
MINOR = (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17)

Array = npt.NDArray[np.float32]


def tempo_is_heard(samples: Array, known: Answers) -> bool:
    """Return whether librosa hears the tempo, or one that people would confuse with it."""
    tempo = float(librosa.feature.tempo(y=samples, sr=SAMPLE_RATE)[0])
    return min(abs(np.log(tempo / known.tempo * ratio)) for ratio in (1, 2, 1 / 2, 3 / 2, 2 / 3)) < 0.06


def hear_key(samples: Array) -> tuple[int, str]:
    """Return tonic and mode of the key profile that fits best."""
    chroma = librosa.feature.chroma_stft(y=samples, sr=SAMPLE_RATE).mean(axis=1)
    fits = [
        (np.corrcoef(np.roll(profile, tonic), chroma)[0, 1], tonic, mode)
        for tonic in range(12)
        for profile, mode in ((MAJOR, "major"), (MINOR, "minor"))
    ]
    return max(fits)[1:]


def clip_features(samples: Array) -> tuple[list[Array], list[Array], list[Array]]:
    """Return mel statistics, rhythm (self-likeness of the onsets in five bands) and level of three clips."""
    power = librosa.feature.melspectrogram(
        y=samples, sr=SAMPLE_RATE, n_fft=1024, hop_length=HOP, n_mels=80, fmin=50, fmax=8000
    )
    log_mel = np.log(power + 1e-7)
    frames = 5 * SAMPLE_RATE // HOP
    spectra, rhythms, levels = [], [], []
    for share in (0.2, 0.5, 0.8):
        start = int(share * (log_mel.shape[1] - frames))
        clip = log_mel[:, start : start + frames]
        spectra.append(np.concatenate([clip.mean(axis=1), clip.std(axis=1)]))
        bands = []
        for band in np.split(clip, 5):
            onsets = np.maximum(np.diff(band, axis=1), 0).mean(axis=0)
            onsets -= onsets.mean()
            likeness = np.correlate(onsets, onsets, "full")[len(onsets) - 1 :][:200]
            bands.append((likeness / (likeness[0] + 1e-9)).reshape(50, 4).mean(axis=1))
        rhythms.append(np.concatenate(bands))
        cut = samples[start * HOP : (start + frames) * HOP]
        levels.append(np.array([np.log(np.mean(cut**2) + 1e-9)], np.float32))
    return spectra, rhythms, levels


def main() -> None:
    """Measure and print."""
    warnings.filterwarnings("ignore", category=FutureWarning)
    songs = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    listened = min(songs, 100)
    features: dict[str, list[Array]] = {"mel statistics": [], "rhythm": [], "level": []}
    styles, groups = [], []
    tempo = key = near = 0
    spent = 0.0
    for index in range(songs):
        start = time.process_time()
        samples, known = compose(index, SEED), answers_of(index, SEED)
        spent += time.process_time() - start
        for name, clips in zip(features, clip_features(samples), strict=True):
            features[name] += clips
        styles += [known.style] * 3
        groups += [index] * 3
        if index < listened:
            tempo += tempo_is_heard(samples, known)
            tonic, mode = hear_key(samples)
            exact = (tonic, mode) == (known.tonic, known.mode)
            key += exact
            relative = (tonic - known.tonic) % 12 == (
                3 if known.mode == "minor" else 9
            ) and mode != known.mode
            near += exact or relative or (tonic - known.tonic) % 12 in (5, 7)
    print(f"| {songs} generated songs, seed {SEED} | |\n|---|---|")
    print(f"| CPU seconds a song | {spent / songs:.2f} |")
    print(f"| tempo heard, {listened} songs | {tempo / listened:.2f} |")
    print(f"| key heard exactly, and nearly | {key / listened:.2f}, {near / listened:.2f} |")
    sets = {name: np.array(clips) for name, clips in features.items()}
    sets["mel statistics + rhythm"] = np.concatenate([sets["mel statistics"], sets["rhythm"]], axis=1)
    for name, values in sets.items():
        probe = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=500))
        guessed = cross_val_predict(probe, values, styles, groups=groups, cv=GroupKFold(5))
        print(f"| style from {name} | {np.mean(guessed == np.array(styles)):.2f} |")


if __name__ == "__main__":
    main()
