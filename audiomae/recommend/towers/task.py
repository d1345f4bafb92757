"""What `train-towers` trains: both towers on plays, given cached content vectors.

Every draw is a function of (seed, step): a run that goes on, or has other processes, sees the same batches.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from audiomae.corpus.clips import permute
from audiomae.errors import ConfigError
from audiomae.listening.tables import Interactions
from audiomae.recommend.towers.examples import Examples
from audiomae.recommend.towers.features import Encoded, UserFeatures
from audiomae.recommend.towers.histories import Histories
from audiomae.recommend.towers.losses import LossKind, keep_hardest, sigmoid_loss, softmax_loss
from audiomae.recommend.towers.negatives import (
    KnownPositives,
    NegativeSettings,
    Popularity,
    draw_uniform,
    log_offsets,
)
from audiomae.recommend.towers.network import Towers, TowerSettings, Vectors

__all__ = ["Examples", "ObjectiveSettings", "TowerTask", "make_towers"]

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class ObjectiveSettings:
    """What the towers learn from a play.

    Attributes:
        loss: softmax, the play among its negatives; bce, yes or no for each; siglip, yes or no for all pairs of
            the batch.
        popularity: separate, a prior beside the towers, its weight chosen on the validation slice; learned, by the
            towers (logQ correction); none, neither.
        temperature: First divisor of the cosines in a softmax; it is learned from there.
    """

    loss: LossKind = "softmax"
    popularity: Popularity = "separate"
    temperature: float = 0.1

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        if not 0.01 <= self.temperature <= 10:
            raise ConfigError(f"objective.temperature is {self.temperature}; it must be from 0.01 to 10.")


def make_towers(
    features: UserFeatures,
    content: Tensor,
    tracks: int,
    settings: TowerSettings,
    objective: ObjectiveSettings,
    negatives: int,
    seed: int,
) -> Towers:
    """Return untrained towers whose first logits fit the loss.

    Args:
        features: Columns of the users' table.
        content: One vector a track, (tracks, values).
        tracks: Tracks with a vector of their own.
        settings: Sizes.
        objective: The loss.
        negatives: Negatives of a play; the first bias is −log of it.
        seed: Key of the weights.
    """
    pairs = objective.loss != "softmax"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        towers = Towers(
            features,
            content.shape[1],
            tracks,
            settings,
            scale=1.0 / objective.temperature,
            bias=-float(np.log(negatives)) if pairs else 0.0,
            train_bias=pairs,
        )
    towers.item.fit_statistics(content)
    return towers


class TowerTask:
    """A task for the training loop.

    Args:
        towers: The network.
        content: One vector a track, float32 (tracks, values).
        train: Plays to train on, coded by the catalogue's rows.
        users: The users' fields as numbers.
        own: Place of each track in the table of own vectors, 0 for none, (tracks,).
        objective: The loss.
        negatives: Where negatives come from.
        batch: Plays in a step, over all processes.
        seed: Key of order, negatives and what is left out.
        hard_after: Step from which only the hardest negatives are kept.
        clips: Clips of each track (tracks, clips, values), and which there are, for attention.
        gather: Brings the rows of all processes together, with their gradient.
        judge: Called by `evaluate` with the towers and the content.

    Raises:
        ConfigError: If the batch is larger than the data.
    """

    def __init__(
        self,
        towers: Towers,
        content: Tensor,
        train: Interactions,
        users: Encoded,
        own: Ints,
        objective: ObjectiveSettings,
        negatives: NegativeSettings,
        *,
        batch: int,
        seed: int,
        hard_after: int = 0,
        clips: tuple[Tensor, Tensor] | None = None,
        gather: Callable[[Tensor], Tensor] = lambda rows: rows,
        judge: Callable[[Towers, Tensor], dict[str, float]] = lambda *_: {},
    ) -> None:
        self.module: nn.Module = towers
        self.towers = towers
        self.settings, self.user_place = towers.settings, towers.user.user_place
        self.content, self.clips, self.users, self.own = content, clips, users, own
        self.objective, self.negatives = objective, negatives
        self.batch, self.seed, self.hard_after = batch, seed, hard_after
        self.gather, self.judge = gather, judge
        self.examples = Examples.of(train)
        if batch > len(self.examples):
            raise ConfigError(
                f"train.batch is {batch}, but there are {len(self.examples)} plays to train on. Use a --train.batch "
                f"of {2 ** int(np.log2(len(self.examples)))} or less."
            )
        self.histories = Histories.build(train)
        self.known = KnownPositives(self.examples.users, self.examples.items, self.examples.shape)
        counts = np.bincount(self.examples.items, minlength=self.examples.shape[1])
        self.played = np.flatnonzero(counts)
        self.offsets = log_offsets(counts, negatives, batch, objective.popularity)

    def units(self) -> Sequence[nn.Module]:
        """Return nothing: the towers are small, and one part."""
        return ()

    def draw(self, step: int, share: slice) -> tuple[Tensor, ...]:
        """Return what `loss` takes, on the CPU: users, their histories, positives, negatives and masks."""
        rows = self._rows(step)
        random = np.random.default_rng([self.seed, step])
        users, items = self.examples.users[rows], self.examples.items[rows]
        codes, numbers = self._fields(users, random)
        heard, weights, own_weights = self._history(rows, random)
        own = self.own[items] * (random.random(self.batch) >= self.settings.track_id_dropout)
        uniform = self.negatives.kind == "uniform"
        if uniform:
            others, valid = draw_uniform(self.known, users, self.played, self.negatives.per_positive, random)
        else:
            others = self.played[random.integers(0, len(self.played), self.negatives.shared)]
            valid = ~self.known.in_columns(users, np.concatenate([items, others]))
        others_own = self.own[others] * (random.random(others.shape) >= self.settings.track_id_dropout)
        if uniform:  # all is drawn for the whole batch, and the share of this process taken
            others, others_own, valid = others[share].reshape(-1), others_own[share].reshape(-1), valid[share]
        offsets = self.offsets[others if uniform else np.concatenate([items, others])]
        arrays = (
            codes[share],
            numbers[share],
            heard[share],
            weights[share],
            self.own[heard[share]],
            own_weights[share],
            np.concatenate([items[share], others]),
            np.concatenate([own[share], others_own]),
            self.offsets[items[share]],
            offsets,
            valid,
            np.zeros(int(step >= self.hard_after)),  # its length says it, so that no step waits for a device
        )
        return tuple(torch.from_numpy(np.ascontiguousarray(array)) for array in arrays)

    def _rows(self, step: int) -> Ints:
        """Return the examples of a step: every epoch is another order of all of them."""
        samples = step * self.batch + np.arange(self.batch)
        epochs, numbers = np.divmod(samples, len(self.examples))
        rows = np.empty_like(numbers)
        for epoch in np.unique(epochs):
            chosen = epochs == epoch
            rows[chosen] = permute(numbers[chosen], len(self.examples), self.seed, int(epoch))
        return rows

    def _fields(self, users: Ints, random: np.random.Generator) -> tuple[Ints, NDArray[np.float32]]:
        codes, numbers = self.users.codes[users], self.users.numbers[users]
        share = np.full(codes.shape[1], self.settings.field_dropout)
        if self.user_place >= 0:
            share[self.user_place] = self.settings.user_id_dropout
        codes = np.where(random.random(codes.shape) < share, 0, codes)
        dropped = random.random((len(users), numbers.shape[1] // 2)) < self.settings.field_dropout
        numbers[:, 0::2][dropped], numbers[:, 1::2][dropped] = 0.0, 1.0
        return codes, numbers

    def _history(
        self, rows: Ints, random: np.random.Generator
    ) -> tuple[Ints, NDArray[np.float32], NDArray[np.float32]]:
        """Return the tracks heard before each example, their weights, and those of their own vectors."""
        settings, examples = self.settings, self.examples
        if not settings.history:
            empty = np.zeros((len(rows), 1), np.float32)
            return np.zeros((len(rows), 1), np.int64), empty, empty
        heard, weights = self.histories.recent(
            examples.users[rows],
            None if examples.times is None else examples.times[rows],
            examples.items[rows],
            settings.longest,
            settings.half_life_days or None,
        )
        weights = weights * (random.random(weights.shape, dtype=np.float32) >= settings.history_dropout)
        weights *= random.random((len(rows), 1)) >= settings.field_dropout
        total = weights.sum(axis=1, keepdims=True)
        weights = np.divide(weights, total, out=np.zeros_like(weights), where=total > 0)
        shown = random.random((len(rows), 1)) >= settings.track_id_dropout
        return heard, weights, (weights * shown * (self.own[heard] > 0)).astype(np.float32)

    def inputs(self, batch: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Return what the towers take, from what was drawn."""
        codes, numbers, heard, weights, heard_own, own_weights, items, own = batch[:8]
        self.content = self.content.to(items.device)
        has = weights.sum(dim=1) > 0
        with torch.no_grad():
            if self.settings.history:
                mean = F.embedding_bag(heard, self.content, per_sample_weights=weights, mode="sum")
            else:
                mean = self.content.new_zeros(len(codes), 1)
        if self.clips is None:
            return codes, numbers, mean, has, heard_own, own_weights, self.content[items], own
        clips, there = (values.to(items.device) for values in self.clips)
        return codes, numbers, mean, has, heard_own, own_weights, clips[items], own, there[items]

    def loss(self, module: nn.Module, batch: tuple[Tensor, ...]) -> dict[str, Tensor]:
        """Return the loss, and the scale the towers have learned."""
        vectors = module(*self.inputs(batch))
        return self.compare(vectors, *batch[8:12])

    def compare(
        self, vectors: Vectors, own_offsets: Tensor, offsets: Tensor, valid: Tensor, hard: Tensor
    ) -> dict[str, Tensor]:
        """Return the loss of users against their positives and negatives, given their vectors."""
        users, items, scale, bias = vectors
        count = len(users)
        if self.negatives.kind == "uniform":
            negatives = items[count:].reshape(count, -1, items.shape[1])
            positive = (users * items[:count]).sum(dim=1) * scale + bias + own_offsets
            others = (negatives @ users[:, :, None]).squeeze(2) * scale + bias + offsets.reshape(count, -1)
        else:  # over the rows of all processes, so that their number changes nothing
            users = self.gather(users)
            columns = torch.cat([self.gather(items[:count]), items[count:]])
            others = torch.addmm(bias + offsets, users * scale, columns.T)
            positive = (users * columns[: len(users)]).sum(dim=1) * scale + bias + offsets[: len(users)]
        if self.negatives.kind == "hard" and len(hard):
            others, valid = keep_hardest(others, valid, self.negatives.hardest)
        compare = softmax_loss if self.objective.loss == "softmax" else sigmoid_loss
        return {"loss": compare(positive, others, valid), "scale": scale.detach().sum()}

    def evaluate(self, module: nn.Module, step: int) -> dict[str, float]:  # noqa: ARG002
        """Judge the towers on the validation slice."""
        assert isinstance(module, Towers)
        return self.judge(module, self.content)
