"""Checkpoints: all that a training needs, whole or not at all, in files that run no code."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
import torch
from torch import nn

from audiomae.errors import DataError, FingerprintError, MissingError, StorageError
from audiomae.training import checkpoint as checkpoint_module
from audiomae.training.checkpoint import latest_checkpoint, load_checkpoint, save_checkpoint
from audiomae.training.optimizer import make_optimizer
from audiomae.training.settings import LoopSettings


def network(*, width: int = 4, seed: int = 0) -> tuple[nn.Module, torch.optim.Optimizer]:
    """A small network with a buffer, a frozen value, and the optimiser that trainings use."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = nn.Sequential(nn.Linear(3, width), nn.BatchNorm1d(width), nn.Linear(width, 2))
    module[2].bias.requires_grad_(False)
    return module, make_optimizer(module, LoopSettings(learning_rate=1e-2))


def blocks(*, width: int = 4, seed: int = 0) -> tuple[nn.Module, torch.optim.Optimizer]:
    """The same with two layers in a row, which Muon moves."""
    module, _ = network(width=width, seed=seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        row = nn.ModuleList([nn.Linear(width, width), nn.Linear(width, width)])
    module = Row(module[0], row, module[2])
    return module, make_optimizer(module, LoopSettings(optimizer="muon", learning_rate=1e-2), row)


class Row(nn.Module):
    """A first layer, a row of them, a last one."""

    def __init__(self, first: nn.Module, row: nn.ModuleList, last: nn.Module) -> None:
        super().__init__()
        self.first, self.row, self.last = first, row, last

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        values = self.first(values)
        for layer in self.row:
            values = torch.relu(layer(values))
        return self.last(values)


def learn(module: nn.Module, optimizer: torch.optim.Optimizer, *, steps: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        module(torch.randn(8, 3, generator=generator)).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("network", [network, blocks], ids=["adamw", "muon"])
def test_training_goes_on_to_the_bit_from_what_was_saved(tmp_path, network):
    whole, its_optimizer = network()
    learn(whole, its_optimizer, steps=5, seed=1)
    path = save_checkpoint(tmp_path, 5, whole, its_optimizer, {"samples": 40})
    learn(whole, its_optimizer, steps=4, seed=2)
    other, another = network(seed=9)
    state = load_checkpoint(path, other, another)
    assert state == {"format": "audiomae-checkpoint/2", "samples": 40, "step": 5}
    learn(other, another, steps=4, seed=2)
    for name, value in whole.state_dict().items():
        assert torch.equal(other.state_dict()[name], value), name
    for key, entries in its_optimizer.state_dict()["state"].items():
        for name, value in entries.items():
            assert torch.equal(another.state_dict()["state"][key][name], value), (key, name)


@pytest.mark.parametrize("network", [network, blocks], ids=["adamw", "muon"])
def test_weights_alone_would_not_go_on_the_same_way(network):
    """Guards the test above: the optimiser's state matters after five steps."""
    whole, its_optimizer = network()
    learn(whole, its_optimizer, steps=5, seed=1)
    other, fresh = network()
    other.load_state_dict(whole.state_dict())
    learn(whole, its_optimizer, steps=4, seed=2)
    learn(other, fresh, steps=4, seed=2)
    name = next(iter(whole.state_dict()))
    assert not torch.equal(other.state_dict()[name], whole.state_dict()[name])


def test_whoever_may_read_the_state_may_read_the_tensors(tmp_path):
    module, optimizer = network()
    learn(module, optimizer, steps=1, seed=0)
    path = save_checkpoint(tmp_path, 1, module, optimizer, {})
    assert len({file.stat().st_mode for file in path.iterdir()}) == 1


def test_only_the_last_two_are_kept(tmp_path):
    module, optimizer = network()
    for step in (10, 20, 30, 40):
        learn(module, optimizer, steps=1, seed=step)
        save_checkpoint(tmp_path, step, module, optimizer, {})
    assert names(tmp_path) == ["step-00000030", "step-00000040"]
    assert latest_checkpoint(tmp_path) == tmp_path / "step-00000040"


def test_a_step_saved_again_replaces_the_old_one(tmp_path):
    module, optimizer = network()
    learn(module, optimizer, steps=1, seed=0)
    save_checkpoint(tmp_path, 7, module, optimizer, {"elapsed": 1.0})
    path = save_checkpoint(tmp_path, 7, module, optimizer, {"elapsed": 2.0})
    assert names(tmp_path) == ["step-00000007"]
    assert load_checkpoint(path, *network())["elapsed"] == 2.0


def test_a_checkpoint_is_safetensors_and_json_with_nothing_to_unpickle(tmp_path):
    module, optimizer = network()
    learn(module, optimizer, steps=2, seed=0)
    path = save_checkpoint(tmp_path, 2, module, optimizer, {"samples": 16})
    assert names(path) == ["model.safetensors", "optimizer.safetensors", "state.json"]
    json.loads((path / "state.json").read_text())
    for name in ("model.safetensors", "optimizer.safetensors"):
        raw = (path / name).read_bytes()
        # A safetensors file is the length of a JSON header, the header, and plain numbers.
        header = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])
        assert all(set(entry) == {"dtype", "shape", "data_offsets"} for entry in header.values())


def test_the_same_training_writes_the_same_bytes(tmp_path):
    for place in ("one", "two"):
        module, optimizer = network()
        learn(module, optimizer, steps=3, seed=0)
        save_checkpoint(tmp_path / place, 3, module, optimizer, {"samples": 24})
    for name in ("model.safetensors", "optimizer.safetensors", "state.json"):
        one, two = (tmp_path / place / "step-00000003" / name for place in ("one", "two"))
        assert one.read_bytes() == two.read_bytes(), name


def test_where_nothing_was_saved_nothing_is_found(tmp_path):
    assert latest_checkpoint(tmp_path / "nowhere") is None
    (tmp_path / ".step-00000003.tmp").mkdir()
    (tmp_path / "notes").mkdir()
    assert latest_checkpoint(tmp_path) is None


def test_a_checkpoint_without_its_state_is_passed_over(tmp_path):
    module, optimizer = network()
    learn(module, optimizer, steps=1, seed=0)
    for step in (1, 2):
        save_checkpoint(tmp_path, step, module, optimizer, {})
    state = tmp_path / "step-00000002" / "state.json"
    state.write_text(state.read_text()[:10])
    assert latest_checkpoint(tmp_path) == tmp_path / "step-00000001"
    state.unlink()
    assert latest_checkpoint(tmp_path) == tmp_path / "step-00000001"


@pytest.mark.parametrize("name", ["model.safetensors", "optimizer.safetensors", "state.json"])
@pytest.mark.parametrize("damage", ["gone", "cut", "scrambled"])
def test_a_damaged_checkpoint_is_named(tmp_path, name, damage):
    module, optimizer = network()
    learn(module, optimizer, steps=1, seed=0)
    path = save_checkpoint(tmp_path, 1, module, optimizer, {})
    raw = (path / name).read_bytes()
    if damage == "gone":
        (path / name).unlink()
    else:
        (path / name).write_bytes(raw[: len(raw) // 2] if damage == "cut" else b"\xff" * 20 + raw[20:])
    with pytest.raises(MissingError, match=rf"step-00000001/{name}: (cannot be read|no such file)"):
        load_checkpoint(path, *network())


def test_a_checkpoint_of_another_format_is_refused(tmp_path):
    module, optimizer = network()
    path = save_checkpoint(tmp_path, 1, module, optimizer, {})
    (path / "state.json").write_text('{"format": "audiomae-checkpoint/9"}')
    with pytest.raises(DataError, match=r"format is 'audiomae-checkpoint/9', not 'audiomae-checkpoint/2'"):
        latest_checkpoint(tmp_path)


def test_a_checkpoint_of_another_model_is_refused_and_changes_nothing(tmp_path):
    module, optimizer = network(width=5)
    learn(module, optimizer, steps=1, seed=0)
    path = save_checkpoint(tmp_path, 1, module, optimizer, {})
    own, its_optimizer = network(width=4)
    before = {name: value.clone() for name, value in own.state_dict().items()}
    with pytest.raises(
        FingerprintError, match=r"its model has other sizes than this one. Name another --out folder"
    ):
        load_checkpoint(path, own, its_optimizer)
    assert all(torch.equal(own.state_dict()[name], value) for name, value in before.items())


def test_a_full_disk_leaves_what_was_there(tmp_path, monkeypatch):
    module, optimizer = network()
    learn(module, optimizer, steps=1, seed=0)
    save_checkpoint(tmp_path, 1, module, optimizer, {})

    def full(*_: object) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(checkpoint_module, "write_json", full)
    with pytest.raises(StorageError, match=r"step-00000002: cannot write \(No space left on device\)"):
        save_checkpoint(tmp_path, 2, module, optimizer, {})
    assert names(tmp_path) == ["step-00000001"]
    load_checkpoint(tmp_path / "step-00000001", *network())


def test_a_kill_while_a_step_is_saved_again_leaves_no_half_of_it(tmp_path, monkeypatch):
    module, optimizer = network()
    learn(module, optimizer, steps=1, seed=0)
    save_checkpoint(tmp_path, 1, module, optimizer, {})
    save_checkpoint(tmp_path, 2, module, optimizer, {"elapsed": 1.0})
    remove = shutil.rmtree

    def die_half_way(path: Path, **kwargs: bool) -> None:
        if Path(path).name.startswith(".step-00000002.tmp") or not Path(path).exists():
            remove(path, **kwargs)
            return
        (Path(path) / "model.safetensors").unlink()
        raise KeyboardInterrupt

    monkeypatch.setattr(shutil, "rmtree", die_half_way)
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(tmp_path, 2, module, optimizer, {"elapsed": 2.0})
    monkeypatch.undo()
    found = latest_checkpoint(tmp_path)
    assert found is not None
    assert load_checkpoint(found, *network())["step"] in (1, 2)
    save_checkpoint(tmp_path, 3, module, optimizer, {})
    assert names(tmp_path) == ["step-00000002", "step-00000003"]
