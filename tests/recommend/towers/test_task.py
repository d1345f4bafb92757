"""What the towers are trained on, and that they learn it."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import numpy as np
import pyarrow as pa
import pytest
import torch

from audiomae.disk.tensors import read_tensors
from audiomae.errors import ConfigError, DataError
from audiomae.listening.tables import Interactions
from audiomae.recommend.towers.check import TowerCheck
from audiomae.recommend.towers.features import FeatureSettings, UserFeatures
from audiomae.recommend.towers.losses.loss import Loss
from audiomae.recommend.towers.losses.registry import LOSSES
from audiomae.recommend.towers.model import TowerModel
from audiomae.recommend.towers.negatives import KnownPositives, NegativeSettings
from audiomae.recommend.towers.objective import ObjectiveSettings, make_towers
from audiomae.recommend.towers.settings import TowerSettings
from audiomae.recommend.towers.task import TowerTask
from audiomae.recommend.towers.training_plays import TrainingPlays

TINY = TowerSettings(dim=8, hidden=16, layers=2, longest=5)


def checkerboard(*, users: int = 40, tracks: int = 20, each: int = 6, timed: bool = True) -> Interactions:
    """Even users play even tracks, odd ones odd tracks."""
    random = np.random.default_rng(0)
    rows = [
        (user, 2 * int(track) + user % 2)
        for user in range(users)
        for track in random.choice(tracks // 2, each, replace=False)
    ]
    codes = np.array(rows)
    return Interactions.build(
        [f"u{number:03d}" for number in range(users)],
        [f"t{number:03d}" for number in range(tracks)],
        codes[:, 0],
        codes[:, 1],
        random.permutation(len(codes)) if timed else None,
    )


def make_task(
    train: Interactions,
    *,
    towers: TowerSettings = TINY,
    objective: ObjectiveSettings | None = None,
    negatives: NegativeSettings | None = None,
    batch: int = 32,
    values: int = 4,
    fields: bool = True,
    **settings,
) -> tuple[TowerTask, UserFeatures, torch.Tensor]:
    """Build a task on random content; the field "side" says whether a user is even or odd."""
    objective, negatives = (
        objective or ObjectiveSettings(),
        negatives or NegativeSettings(extra=8, per_positive=4),
    )
    sides = [str(int(name[1:]) % 2) for name in train.user_ids]
    users = pa.table({"user_id": train.user_ids, "side": sides if fields else [None] * len(sides)})
    features = UserFeatures.fit(
        users, train.user_ids, FeatureSettings(columns={"side": "categorical"}, least_count=1)
    )
    content = torch.randn(len(train.track_ids), values, generator=torch.Generator().manual_seed(3))
    played = np.unique(train.tracks)
    ids = np.zeros(len(train.track_ids), np.int64)
    ids[played] = np.arange(1, len(played) + 1) if towers.track_ids else 0
    count = len(played) if towers.track_ids else 0
    network = make_towers(features, content, count, towers, objective, negatives.count(batch), 0)
    encoded = features.encode(users)
    task = TowerTask(
        network, content, train, encoded, ids, objective, negatives, batch=batch, seed=0, **settings
    )
    return task, features, content


def fit(task: TowerTask, steps: int, *, first: int = 0, rate: float = 0.03) -> list[float]:
    """Train with Adam, without anything around it; return the losses."""
    optimizer = torch.optim.Adam([one for one in task.module.parameters() if one.requires_grad], lr=rate)
    losses = []
    for step in range(first, first + steps):
        loss = task.loss(task.module, task.draw(step, slice(0, task.batch)))["loss"]
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        losses.append(float(loss.detach()))
    return losses


KINDS = ("uniform", "in_batch", "mixed", "hard")
ARMS = [(name, kind) for name, loss in LOSSES.items() for kind in loss.negatives]


@pytest.mark.parametrize(("loss", "kind"), ARMS)
def test_towers_learn_a_checkerboard(loss, kind):
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


def flat(batch: tuple) -> list[torch.Tensor]:
    """The tensors of a batch, in their order."""
    parts = [flat(part) if isinstance(part, tuple) else [part] for part in batch]
    return [value for part in parts for value in part if isinstance(value, torch.Tensor)]


def test_a_draw_is_a_function_of_the_step_and_shares_make_up_the_batch():
    task, _, _ = make_task(checkerboard(), negatives=NegativeSettings(kind="uniform", per_positive=4))
    whole = task.draw(3, slice(0, 32))
    again = task.draw(3, slice(0, 32))
    assert all(torch.equal(one, other) for one, other in zip(flat(whole), flat(again), strict=True))
    halves = [task.draw(3, part) for part in (slice(0, 16), slice(16, 32))]
    for parts in zip(*(flat(half.users) for half in halves), flat(whole.users), strict=True):
        assert torch.equal(torch.cat(parts[:2]), parts[2])
    for name in ("positive_offsets", "offsets", "valid"):
        assert torch.equal(torch.cat([getattr(half, name) for half in halves]), getattr(whole, name))
    for name in ("tracks", "ids"):
        drawn = [getattr(one.items, name) for one in (*halves, whole)]
        assert torch.equal(torch.cat([half[:16] for half in drawn[:2]]), drawn[2][:32])
        assert torch.equal(torch.cat([half[16:] for half in drawn[:2]]), drawn[2][32:])


def test_every_example_is_drawn_once_in_an_epoch():
    train = checkerboard()
    task, _, _ = make_task(train, batch=40)
    rows = np.concatenate([task._rows(step) for step in range(len(train) // 40)])
    assert sorted(rows.tolist()) == list(range(len(train)))


def test_known_positives_are_never_negatives():
    train = checkerboard()
    known = KnownPositives(train.users, train.tracks, (40, 20))
    for kind in KINDS:
        task, _, _ = make_task(train, negatives=NegativeSettings(kind=kind, extra=8, per_positive=4))
        for step in range(5):
            batch, users = task.draw(step, slice(0, 32)), task.examples.users[task._rows(step)]
            tracks = batch.items.tracks
            others = tracks[32:].reshape(32, -1) if kind == "uniform" else tracks.expand(32, -1)
            assert not (known.contains(users[:, None], others.numpy()) & batch.valid.numpy()).any()


def test_hard_negatives_never_hold_a_positive(monkeypatch):
    seen = []
    look = Loss(
        lambda positive, others, valid: seen.append((others, valid)) or others[valid].sum() + positive.sum()
    )
    monkeypatch.setitem(LOSSES, "softmax", look)
    task, _, _ = make_task(
        checkerboard(), negatives=NegativeSettings(kind="hard", extra=8, hardest=5), hard_after=2
    )
    for step in (1, 2):
        task.loss(task.module, task.draw(step, slice(0, 32)))
    (before, _), (after, valid) = seen
    assert before.shape == (32, 40)
    assert after.shape == (32, 5)
    batch = task.draw(2, slice(0, 32))
    vectors = task.module(task.user_inputs(batch.users), task.item_inputs(batch.items))
    logits = (vectors.users @ vectors.items.T) * vectors.scale + vectors.bias + batch.offsets
    known = ~batch.valid
    for row in range(32):
        positives = set(logits[row][known[row]].tolist())
        assert not positives & set(after[row][valid[row]].tolist())


def test_no_history_holds_the_target_or_anything_at_its_time_or_later():
    train = checkerboard()
    pairs = zip(train.users.tolist(), train.tracks.tolist(), strict=True)
    times = dict(zip(pairs, train.times.tolist(), strict=True))
    task, _, _ = make_task(train)
    for step in range(7):
        batch, rows = task.draw(step, slice(0, 32)), task._rows(step)
        drawn = batch.users.history
        for row, tracks, weights in zip(rows, drawn.tracks, drawn.weights, strict=True):
            user, item = int(task.examples.users[row]), int(task.examples.items[row])
            shown = tracks[weights > 0].tolist()
            assert item not in shown
            assert all(times[user, track] < times[user, item] for track in shown)


def test_without_time_a_history_is_all_other_plays():
    train = checkerboard(timed=False)
    towers = TINY.__class__(**{**TINY.__dict__, "history_dropout": 0.0, "field_dropout": 0.0, "longest": 9})
    task, _, _ = make_task(train, towers=towers)
    batch, rows = task.draw(0, slice(0, 32)), task._rows(0)
    drawn = batch.users.history
    for row, tracks, weights in zip(rows, drawn.tracks, drawn.weights, strict=True):
        user, item = int(task.examples.users[row]), int(task.examples.items[row])
        others = set(train.tracks[train.users == user].tolist()) - {item}
        assert set(tracks[weights > 0].tolist()) == others


def test_a_track_played_twice_is_one_example_at_its_first_time():
    train = Interactions.build(["a"], ["x", "y"], np.zeros(3, int), np.array([0, 0, 1]), np.array([5, 9, 7]))
    examples = TrainingPlays.of(train)
    assert examples.items.tolist() == [0, 1]
    assert examples.times.tolist() == [5, 7]


def test_four_steps_equal_two_and_two():
    whole, _, _ = make_task(checkerboard())
    parts, _, _ = make_task(checkerboard())
    losses = fit(whole, 4, rate=0.0)
    assert losses == fit(parts, 2, rate=0.0) + fit(parts, 2, first=2, rate=0.0)


def test_the_first_bias_fits_the_number_of_negatives():
    task, _, _ = make_task(
        checkerboard(),
        objective=ObjectiveSettings(loss="bce"),
        negatives=NegativeSettings(kind="uniform", per_positive=4),
    )
    assert task.module.bias.shape == task.module.log_scale.shape == (1,)
    assert float(task.module.bias.detach()) == pytest.approx(-np.log(4))
    assert task.module.bias.requires_grad
    assert not make_task(checkerboard())[0].module.bias.requires_grad


def test_siglip_begins_and_ends_as_its_paper_says():
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


def test_siglip_is_not_cross_entropy():
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


def test_a_loss_is_added_by_one_line(monkeypatch):
    def hinge(positive, others, valid):
        return (1 - positive[:, None] + others).clamp_min(0)[valid].mean()

    monkeypatch.setitem(LOSSES, "hinge", Loss(hinge))
    task, _, _ = make_task(checkerboard(), objective=ObjectiveSettings(loss="hinge"))
    losses = fit(task, 40)
    assert np.mean(losses[-5:]) < np.mean(losses[:5]) / 2


def test_a_batch_larger_than_the_data_is_refused():
    with pytest.raises(
        ConfigError, match=r"batch is 500, but there are 240 plays to train on\. Use .* of 128 or less"
    ):
        make_task(checkerboard(), batch=500)


def test_a_single_track_is_nothing_to_learn_from():
    train = Interactions.build(["a", "b"], ["x"], np.array([0, 1]), np.array([0, 0]))
    with pytest.raises(DataError, match=r"has 2 plays of 1 tracks; towers need plays of at least 2"):
        TrainingPlays.of(train)


def test_the_check_finds_the_other_half_of_a_checkerboard():
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
        task, _, _ = small.make_task(small.checkerboard(), **given)
        module = DistributedDataParallel(task.module)
        task.loss(module, task.draw(0, slice(rank * 16, rank * 16 + 16)))["loss"].backward()
        named = task.module.named_parameters()
        found = {key: value.grad for key, value in named if value.grad is not None}
        write_tensors(Path(sys.argv[1]) / f"{name}.{rank}.safetensors", found)
    leave(0)
"""


@pytest.mark.processes
def test_two_processes_have_the_gradient_of_one(tmp_path):
    names = [f"{loss}-{kind}" for loss, kind in ARMS]
    script = tmp_path / "two.py"
    script.write_text(textwrap.dedent(SCRIPT))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    done = subprocess.run(
        [*command, str(script), str(tmp_path), __file__, *names],
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
