from __future__ import annotations

from pathlib import Path

import pytest
import torch

from audiomae.errors import DataError, MissingError
from audiomae.hear import HearModel, get_scene_embeddings, get_timestamp_embeddings, load_model
from audiomae.model.config import ModelSettings
from audiomae.model.embedder import save, untrained


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("hear") / "run"
    save(untrained(ModelSettings(width=32, depth=2, heads=2)), path, {})
    return path


@pytest.fixture(scope="module")
def model(folder: Path) -> HearModel:
    return load_model(str(folder))


def make_sounds(sounds: int, seconds: float) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(sounds, int(seconds * 16_000), generator=generator) * 2 - 1


def test_a_model_says_its_rate_and_sizes_and_takes_a_folder_or_a_file_in_it(model, folder):
    assert isinstance(model, torch.nn.Module)
    assert (model.sample_rate, model.scene_embedding_size, model.timestamp_embedding_size) == (
        16_000,
        160,
        160,
    )
    again = load_model(str(folder / "model.safetensors"))
    sounds = make_sounds(1, 1)
    assert torch.equal(get_scene_embeddings(sounds, again), get_scene_embeddings(sounds, model))


@pytest.mark.parametrize("seconds", [0.03, 1.0, 5.0, 12.3])
def test_shapes_are_those_that_were_announced(model, seconds):
    sounds = make_sounds(3, seconds)
    scenes = get_scene_embeddings(sounds, model)
    moments, times = get_timestamp_embeddings(sounds, model)
    assert scenes.shape == (3, model.scene_embedding_size)
    assert moments.shape == (3, times.shape[1], model.timestamp_embedding_size)
    assert times.shape[0] == 3
    assert scenes.dtype == moments.dtype == times.dtype == torch.float32
    assert torch.isfinite(moments).all()


def test_times_are_the_middles_of_columns_in_milliseconds_and_cover_the_sound(model):
    _, times = get_timestamp_embeddings(make_sounds(2, 12.3), model)
    assert times[0, :3].tolist() == [80, 240, 400]
    assert torch.equal(times[0], times[1])
    assert 12_300 - 160 <= times[0, -1] <= 12_300 + 80


def test_a_sound_does_not_depend_on_its_neighbours(model):
    sounds = make_sounds(3, 6)
    alone = get_timestamp_embeddings(sounds[1:2], model)[0]
    # float32 sums in another order.
    assert torch.allclose(get_timestamp_embeddings(sounds, model)[0][1:2], alone, atol=1e-4)
    assert torch.allclose(
        get_scene_embeddings(sounds, model)[1:2], get_scene_embeddings(sounds[1:2], model), atol=1e-4
    )


def test_a_moment_tells_what_sounds_then(model):
    quiet, loud = torch.zeros(1, 32_000), torch.sin(torch.arange(32_000) * 0.3)[None]
    moments, times = get_timestamp_embeddings(torch.cat([quiet, loud], dim=1), model)
    cosines = torch.cosine_similarity(moments[0], moments[0, 2:3], dim=1)
    assert cosines[times[0] < 1900].min() > cosines[times[0] > 2200].max()


def test_the_mean_of_the_moments_of_one_clip_is_its_scene(model):
    sounds = make_sounds(2, 4.95)
    moments, _ = get_timestamp_embeddings(sounds, model)
    # The scene goes through float16 log-mels, as a corpus would.
    assert torch.allclose(moments.mean(dim=1), get_scene_embeddings(sounds, model), atol=2e-2)


@pytest.mark.parametrize("sounds", [torch.zeros(16_000), torch.zeros(1, 0), torch.full((1, 10), torch.nan)])
def test_audio_of_another_shape_or_not_finite_is_refused(model, sounds):
    for function in (get_scene_embeddings, get_timestamp_embeddings):
        with pytest.raises(DataError, match=r"audio (has shape|holds samples)"):
            function(sounds, model)


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(MissingError, match=r"config\.json"):
        load_model(tmp_path)
