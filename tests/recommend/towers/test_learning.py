"""That the towers learn with every loss, and that two processes learn as one does."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import torch

from audiomae.disk.tensors import read_tensors
from audiomae.errors import ConfigError
from audiomae.recommend.towers.check import TowerCheck
from audiomae.recommend.towers.losses.loss import Loss
from audiomae.recommend.towers.losses.registry import LOSSES
from audiomae.recommend.towers.model import TowerModel
from audiomae.recommend.towers.negatives import NegativeSettings
from audiomae.recommend.towers.objective import ObjectiveSettings

CONFTEST = str(Path(__file__).with_name("conftest.py"))
ARMS = [(name, kind) for name, loss in LOSSES.items() for kind in loss.negatives]


@pytest.mark.parametrize(("loss", "kind"), ARMS)
def test_towers_learn_a_checkerboard(checkerboard, make_task, fit, loss, kind):
    train = checkerboard()
    negatives = NegativeSettings(kind=kind, extra=8, per_positive=4, hardest=16)
    task, features, content = make_task(train, objective=ObjectiveSettings(loss=loss), negatives=negatives)
    task.hard_after = 40
    fit(task, 80)
    model = TowerModel(task.module.eval(), features, train.track_ids, {})
    items = model.embed_items(content.numpy(), train.track_ids)
    unit = items.projected / np.linalg.norm(items.projected, axis=1, keepdims=True)
    strangers = model.embed_users(
        [{"side": "0"}, {"side": "1"}], np.zeros((2, model.dim), np.float32), np.zeros(2, bool)
    )
    best = np.argsort(-(strangers @ unit.T), axis=1)[:, :10]
    assert (best % 2 == [[0], [1]]).mean() >= 0.9
    assert 1.0 <= model.scale <= 100.0


def test_four_steps_equal_two_and_two(checkerboard, make_task, fit):
    whole, _, _ = make_task(checkerboard())
    parts, _, _ = make_task(checkerboard())
    losses = fit(whole, 4, rate=0.0)
    assert losses == fit(parts, 2, rate=0.0) + fit(parts, 2, first=2, rate=0.0)


def test_the_first_bias_fits_the_number_of_negatives(checkerboard, make_task):
    task, _, _ = make_task(
        checkerboard(),
        objective=ObjectiveSettings(loss="bce"),
        negatives=NegativeSettings(kind="uniform", per_positive=4),
    )
    assert task.module.bias.shape == task.module.log_scale.shape == (1,)
    assert float(task.module.bias.detach()) == pytest.approx(-np.log(4))
    assert task.module.bias.requires_grad
    assert not make_task(checkerboard())[0].module.bias.requires_grad


def test_siglip_begins_and_ends_as_its_paper_says(checkerboard, make_task):
    """Scale 10 and bias -10; every pair of the batch counts, whoever is known to have played what; over the batch."""
    task, _, _ = make_task(
        checkerboard(),
        objective=ObjectiveSettings(loss="siglip"),
        negatives=NegativeSettings(kind="in_batch"),
    )
    assert float(task.module.scale.detach()) == pytest.approx(10.0)
    assert float(task.module.bias.detach()) == -10.0
    assert task.module.bias.requires_grad
    batch = task.draw(0, slice(0, 32))
    users, items, scale, bias = task.module(task.user_inputs(batch.users), task.item_inputs(batch.items))
    signs = 2 * torch.eye(32) - 1
    pairs = torch.nn.functional.logsigmoid(signs * (users @ items.T * scale + bias))
    loss = task.loss(task.module, batch)["loss"]
    assert float(loss.detach()) == pytest.approx(-float(pairs.detach().sum()) / 32, rel=1e-5)


def test_siglip_is_not_cross_entropy(checkerboard, make_task):
    losses = []
    for name in ("bce", "siglip"):
        task, _, _ = make_task(
            checkerboard(),
            objective=ObjectiveSettings(loss=name),
            negatives=NegativeSettings(kind="in_batch"),
        )
        with torch.no_grad():
            task.module.bias.fill_(-3.0)
        losses.append(float(task.loss(task.module, task.draw(0, slice(0, 32)))["loss"].detach()))
    assert losses[0] < losses[1]  # which counts the pairs of known plays too


def test_losses_that_are_not_there_or_cannot_learn_popularity_are_refused():
    with pytest.raises(
        ConfigError, match=r"objective\.loss is 'sofmax', which is no loss\. Close: softmax\."
    ):
        ObjectiveSettings(loss="sofmax")
    with pytest.raises(ConfigError, match=r"siglip has no correction for how often a track is drawn"):
        ObjectiveSettings(loss="siglip", popularity="learned")


def test_a_loss_is_added_by_one_line(checkerboard, make_task, fit, monkeypatch):
    def hinge(positive, others, valid):
        return (1 - positive[:, None] + others).clamp_min(0)[valid].mean()

    monkeypatch.setitem(LOSSES, "hinge", Loss(hinge))
    task, _, _ = make_task(checkerboard(), objective=ObjectiveSettings(loss="hinge"))
    losses = fit(task, 40)
    assert np.mean(losses[-5:]) < np.mean(losses[:5]) / 2


def test_the_check_finds_the_other_half_of_a_checkerboard(checkerboard, make_task, fit):
    plays = checkerboard(each=10)
    asked = np.random.default_rng(0).random(len(plays)) < 0.3
    train, held = plays.select(~asked), plays.select(asked)
    task, _, content = make_task(train)
    fit(task, 150)
    check = TowerCheck(train, held, task.users, task.ids, gammas=(0.0,), k=4)
    found = check(task.module.eval(), content)
    # Whatever of his colour a user has not heard is what was held out.
    assert found["validation_ndcg@4"] > 0.9
    assert found["gamma"] == 0.0
    assert not set(check.lists(task.module, content)[0.0].ravel().tolist()) - set(range(20))


SCRIPT = """
    import sys
    from importlib.util import module_from_spec, spec_from_file_location
    from pathlib import Path
    import torch
    from torch import distributed
    from torch.nn.parallel import DistributedDataParallel
    from audiomae.cli.main import leave
    from audiomae.disk.tensors import write_tensors
    from audiomae.recommend.towers.negatives import NegativeSettings
    from audiomae.recommend.towers.objective import ObjectiveSettings
    from audiomae.training.gather import gather_rows

    spec = spec_from_file_location("small_tables", sys.argv[2])
    small = module_from_spec(spec)
    sys.modules["small_tables"] = small
    spec.loader.exec_module(small)
    distributed.init_process_group("gloo")
    rank = distributed.get_rank()
    for name in sys.argv[3:]:
        loss, kind = name.split("-")
        negatives = NegativeSettings(kind=kind, extra=8, per_positive=4, hardest=5)
        objective = ObjectiveSettings(loss=loss)
        given = {"objective": objective, "negatives": negatives, "gather": gather_rows}
        task, _, _ = small.make_tower_task(small.make_checkerboard(), **given)
        module = DistributedDataParallel(task.module)
        task.loss(module, task.draw(0, slice(rank * 16, rank * 16 + 16)))["loss"].backward()
        named = task.module.named_parameters()
        found = {key: value.grad for key, value in named if value.grad is not None}
        write_tensors(Path(sys.argv[1]) / f"{name}.{rank}.safetensors", found)
    leave(0)
"""


@pytest.mark.processes
def test_two_processes_have_the_gradient_of_one(checkerboard, make_task, tmp_path):
    names = [f"{loss}-{kind}" for loss, kind in ARMS]
    script = tmp_path / "two.py"
    script.write_text(textwrap.dedent(SCRIPT))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    done = subprocess.run(
        [*command, str(script), str(tmp_path), CONFTEST, *names],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    for name, (loss, kind) in zip(names, ARMS, strict=True):
        negatives = NegativeSettings(kind=kind, extra=8, per_positive=4, hardest=5)
        task, _, _ = make_task(checkerboard(), objective=ObjectiveSettings(loss=loss), negatives=negatives)
        torch.autograd.backward(task.loss(task.module, task.draw(0, slice(0, 32)))["loss"])
        one = {key: value.grad for key, value in task.module.named_parameters() if value.grad is not None}
        assert {"log_scale", "user.layers.0.weight", "item.own.weight"} <= set(one)
        assert ("bias" in one) == (loss != "softmax")
        for rank in (0, 1):
            two = read_tensors(tmp_path / f"{name}.{rank}.safetensors")
            assert set(two) == set(one)
            for key, value in one.items():
                torch.testing.assert_close(two[key], value, atol=1e-6, rtol=1e-5, msg=f"{name}: {key}")
