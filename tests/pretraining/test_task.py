"""Several masks per clip read: what a batch holds, and that the number of processes changes nothing."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from audiomae.corpus.corpus import Corpus
from audiomae.errors import ConfigError
from audiomae.model.clip_head import pair_loss
from audiomae.model.config import ModelSettings
from audiomae.pretraining import task as masked_task
from audiomae.pretraining.augmentation import AugmentSettings
from audiomae.pretraining.settings import MaskSettings, PairSettings
from audiomae.pretraining.task import MaskedTask, sample_numbers
from audiomae.training.settings import LoopSettings
from audiomae.verbs.pretrain import PretrainSettings, pretrain

TINY = ModelSettings(width=32, depth=1, heads=2, decoder_width=16, decoder_depth=1, decoder_heads=2)


def task_of(
    corpus: Path,
    *,
    masks: int = 1,
    batch: int = 16,
    weight: float = 0.3,
    augment: AugmentSettings | None = None,
) -> MaskedTask:
    opened = Corpus.open(corpus)
    torch.manual_seed(0)
    return MaskedTask(
        opened,
        dataclasses.replace(TINY, projection=16 if weight else 0),
        MaskSettings("spans", 0.7, 4),
        PairSettings(weight=weight),
        split=(np.arange(1, len(opened)), np.arange(1)),
        batch=batch,
        seed=0,
        pictures=None,
        masks=masks,
        augment=augment,
    )


def assert_joined(parts: list[tuple], whole: tuple) -> None:
    """The tensors of the parts, one behind the other, are those of the whole."""
    for name, expected in whole._asdict().items():
        if isinstance(expected, torch.Tensor):
            assert torch.equal(torch.cat([getattr(part, name) for part in parts]), expected), name


@pytest.mark.parametrize("weight", [0.0, 0.3])
def test_a_batch_reads_fewer_clips_and_masks_each_differently(small_corpus, monkeypatch, weight):
    read = []
    original = masked_task.read_clips

    def count(corpus, tracks, starts, frames):
        read.append(len(tracks))
        return original(corpus, tracks, starts, frames)

    monkeypatch.setattr(masked_task, "read_clips", count)
    task = task_of(small_corpus, masks=4, weight=weight)
    read.clear()
    clips, seen, hidden, tracks, *_ = task.draw(3, slice(0, 16))
    assert read == [4]
    assert (len(clips), len(seen), len(hidden), len(tracks)) == (4, 16, 16, 16)
    assert len(np.unique(seen.numpy(), axis=0)) > 12


def test_views_of_partners_are_neighbours_and_views_of_one_clip_are_no_negatives(small_corpus):
    task = task_of(small_corpus, masks=4)
    batch = task.draw(0, slice(0, 16))
    clips, tracks = batch.clips, batch.tracks
    views = task._views(torch.arange(len(clips)))
    assert views.tolist() == [0, 1] * 4 + [2, 3] * 4
    assert (tracks[:8] == tracks[0]).all()
    assert (tracks[8:] == tracks[8]).all()
    # With two songs, each view is compared with its partner and the 8 views of the other song, not with its own.
    if tracks[0] != tracks[8]:
        projected = torch.ones(16, 4) / 2
        assert float(pair_loss(projected, tracks, 1.0)) == pytest.approx(math.log(9))


def test_without_the_clip_level_term_views_of_a_clip_are_neighbours(small_corpus):
    task = task_of(small_corpus, masks=4, weight=0.0)
    assert task._views(torch.arange(2)).tolist() == [0] * 4 + [1] * 4
    twice = task._views(torch.arange(12.0).reshape(2, 2, 3))
    assert torch.equal(twice[3], twice[0])
    assert torch.equal(twice[4], torch.arange(12.0).reshape(2, 2, 3)[1])


@pytest.mark.parametrize("weight", [0.0, 0.3])
@pytest.mark.parametrize("ranks", [2, 4])
def test_shares_of_ranks_are_the_global_batch_in_order(small_corpus, weight, ranks):
    task = task_of(small_corpus, masks=2, weight=weight)
    whole = task.draw(5, slice(0, 16))
    size = 16 // ranks
    parts = [task.draw(5, slice(rank * size, (rank + 1) * size)) for rank in range(ranks)]
    assert_joined(parts, whole)


@pytest.mark.parametrize("weight", [0.0, 0.3])
def test_an_epoch_of_masked_steps_reads_every_clip_once(small_corpus, weight):
    task = task_of(small_corpus, masks=2, batch=8, weight=weight)
    length, rows = len(task.stream), 2 * (2 if weight else 1)
    samples = [sample_numbers(step, slice(0, 8), batch=8, rows=rows) for step in range(length)]
    joined = np.concatenate(samples)
    assert np.array_equal(joined, np.arange(len(joined)))


def test_one_mask_draws_what_it_always_drew(small_corpus):
    task = task_of(small_corpus, masks=1)
    clips, seen, hidden, tracks, *_ = task.draw(0, slice(4, 12))
    assert len(clips) == len(seen) == len(hidden) == len(tracks) == 8
    assert task._views(clips) is clips


def test_training_with_masks_learns_and_ends(small_corpus, tmp_path):
    loop = LoopSettings(batch=16, threads=1, learning_rate=3e-3, log_every=5, evaluate_every=100)
    result = pretrain(
        PretrainSettings(
            corpus=str(small_corpus), out=str(tmp_path / "run"), steps=20, model=TINY, masks=4, train=loop
        )
    )
    assert (result.steps, result.finished) == (20, True)
    assert (tmp_path / "run" / "model.safetensors").exists()


@pytest.mark.parametrize(
    ("masks", "batch", "weight", "message"),
    [
        (
            4,
            20,
            0.3,
            r"batch 20 cannot be cut into 1 parts of whole pairs, .* with 4 masks each\. Use a multiple of 8",
        ),
        (
            3,
            16,
            0.0,
            r"batch 16 cannot be cut into 1 parts of whole clips with 3 masks each\. Use a multiple of 3",
        ),
        (8, 16, 0.3, r"takes 32 clips or more"),
        (0, 16, 0.3, r"masks is 0; it must be at least 1"),
    ],
)
def test_batches_that_masks_do_not_divide_are_refused(small_corpus, tmp_path, masks, batch, weight, message):
    with pytest.raises(ConfigError, match=message):
        pretrain(
            PretrainSettings(
                corpus=str(small_corpus),
                out=str(tmp_path / "run"),
                steps=1,
                model=TINY,
                masks=masks,
                pairs=PairSettings(weight=weight),
                train=LoopSettings(batch=batch, threads=1),
            )
        )


def test_profiling_times_the_phases_and_writes_no_run(small_corpus, tmp_path):
    loop = LoopSettings(batch=8, threads=1)
    settings = PretrainSettings(
        corpus=str(small_corpus), out=str(tmp_path / "run"), model=TINY, profile=2, train=loop
    )
    result = pretrain(settings)
    assert not result.finished
    assert result.profile is not None
    assert (result.profile.steps, result.profile.batch, result.profile.processes) == (2, 8, 1)
    assert all(seconds > 0 for seconds in result.profile.seconds.values())
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("masks", "weight"), [(1, 0.0), (2, 0.3)])
@pytest.mark.parametrize("ranks", [2, 6])
def test_ranks_draw_together_what_one_process_draws(small_corpus, monkeypatch, masks, weight, ranks):
    """Masks from several blocks, and clips that are changed."""
    monkeypatch.setattr(masked_task, "MASKS_DRAWN", 10)
    task = task_of(small_corpus, masks=masks, batch=24, weight=weight, augment=AugmentSettings(0.4, 0.2, 3.0))
    whole = task.draw(5, slice(0, 24))
    size = 24 // ranks
    parts = [task.draw(5, slice(rank * size, (rank + 1) * size)) for rank in range(ranks)]
    assert whole.changes is not None
    assert_joined(parts, whole)
    assert_joined([part.changes for part in parts], whole.changes)


def test_masks_of_the_first_block_do_not_depend_on_the_size_of_the_batch(small_corpus, monkeypatch):
    monkeypatch.setattr(masked_task, "MASKS_DRAWN", 8)
    small, large = (task_of(small_corpus, batch=batch) for batch in (8, 32))
    assert torch.equal(small.draw(2, slice(0, 8)).seen, large.draw(2, slice(0, 8)).seen)
    assert len(np.unique(large.draw(2, slice(0, 32)).seen.numpy(), axis=0)) > 24


def test_changes_reach_the_loss_but_not_the_held_out_clips(small_corpus):
    plain, changed = (task_of(small_corpus, augment=one) for one in (None, AugmentSettings(0.4, 0.2, 3.0)))
    share = slice(0, 16)
    first, second = (
        one.loss(one.module, one.draw(0, share))["rebuilding"].detach() for one in (plain, changed)
    )
    assert float((first - second).abs()) > 1e-3
    assert torch.equal(plain.judged, changed.judged)
    assert plain.baselines == changed.baselines
