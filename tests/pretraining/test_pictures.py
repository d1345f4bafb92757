from __future__ import annotations

import numpy as np
import pytest
from matplotlib.image import imread

from audiomae.audio.mel import MelSettings
from audiomae.pretraining.pictures import draw_clip, draw_reconstruction

MEL = MelSettings()


def make_clip() -> tuple[np.ndarray, np.ndarray]:
    clip = np.random.default_rng(0).normal(-5, 2, (200, MEL.mels)).astype(np.float32)
    masked = clip.copy()
    masked[50:150] = np.nan
    return clip, masked


def test_masked_frames_are_grey_and_the_same_arrays_give_the_same_bytes(tmp_path):
    clip, masked = make_clip()
    for name in ("a.png", "b.png"):
        draw_reconstruction(tmp_path / name, clip, masked, clip, mel=MEL, title="Ünï", start_seconds=3)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    picture = imread(tmp_path / "a.png")[..., :3]
    middle = picture[picture.shape[0] // 2]
    grey = (np.abs(middle - 0.6) < 0.01).all(axis=1).mean()
    # Half of the frames, in a row of axes that is about three quarters of the picture wide.
    assert 0.3 < grey < 0.5


def test_arrays_of_other_shapes_are_refused(tmp_path):
    clip, masked = make_clip()
    with pytest.raises(ValueError, match=r"\(199, 80\)"):
        draw_reconstruction(tmp_path / "a.png", clip, masked, clip[1:], mel=MEL)
    assert not (tmp_path / "a.png").exists()


def test_a_bare_picture_has_a_pixel_a_frame_and_band_and_low_bands_below(tmp_path):
    clip, blanked = make_clip()
    clip[:, 0] = 9
    draw_clip(tmp_path / "bare.png", clip, like=clip)
    picture = imread(tmp_path / "bare.png")[..., :3]
    assert picture.shape == (MEL.mels, 200, 3)
    assert picture[-1].mean() > picture[:-1].mean(axis=(1, 2)).max()
    draw_clip(tmp_path / "bare.png", blanked, like=clip)
    assert np.allclose(imread(tmp_path / "bare.png")[:, 50:150, :3], 0.6, atol=0.01)
