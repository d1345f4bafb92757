"""What `train-towers` trains: both towers on plays, given cached content vectors.

Every draw is a function of (seed, step): a run that goes on, or has other processes, sees the same batches.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from audiomae.corpus.clips import permute
from audiomae.errors import ConfigError
from audiomae.listening.tables import Interactions
from audiomae.recommend.towers.batch import (
    DrawnHistory,
    DrawnItems,
    DrawnUsers,
    HistoryInputs,
    ItemInputs,
    TowerBatch,
    TowerVectors,
    TrackClips,
    UserInputs,
)
from audiomae.recommend.towers.features import Encoded
from audiomae.recommend.towers.histories import Histories
from audiomae.recommend.towers.losses.loss import keep_hardest
from audiomae.recommend.towers.losses.registry import LOSSES
from audiomae.recommend.towers.negatives import (
    KnownPositives,
    NegativeSettings,
    draw_uniform,
    log_offsets,
)
from audiomae.recommend.towers.network import Towers
from audiomae.recommend.towers.objective import ObjectiveSettings
from audiomae.recommend.towers.training_plays import TrainingPlays

__all__ = ["TowerTask"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]


class TowerTask:
    """A task for the training loop.

    Args:
        towers: The network.
        content: One vector a track, float32 (tracks, values).
        train: Plays to train on, coded by the catalogue's rows.
        users: The users' fields as numbers.
        ids: Place of each track in the table of id embeddings, 0 for none, (tracks,).
        objective: The loss.
        negatives: Where negatives come from.
        batch: Plays in a step, over all processes.
        seed: Key of order, negatives and what is left out.
        hard_after: Step from which only the hardest negatives are kept.
        clips: Clips of each track, for attention.
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
        ids: Ints,
        objective: ObjectiveSettings,
        negatives: NegativeSettings,
        *,
        batch: int,
        seed: int,
        hard_after: int = 0,
        clips: TrackClips | None = None,
        gather: Callable[[Tensor], Tensor] = lambda rows: rows,
        judge: Callable[[Towers, Tensor], dict[str, float]] = lambda *_: {},
    ) -> None:
        self.module: nn.Module = towers
        self.towers = towers
        self.settings, self.user_place = towers.settings, towers.user.user_place
        self.content, self.clips, self.users, self.ids = content, clips, users, ids
        self.objective, self.negatives = objective, negatives
        self.batch, self.seed, self.hard_after = batch, seed, hard_after
        self.gather, self.judge = gather, judge
        self.examples = TrainingPlays.of(train)
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

    def draw(self, step: int, share: slice) -> TowerBatch:
        """Return what `loss` takes, on the CPU.

        All is drawn for the whole batch, and the share of this process taken.
        """
        rows = self._rows(step)
        random = np.random.default_rng([self.seed, step])
        users, items = self.examples.users[rows], self.examples.items[rows]
        codes, numbers = self._fields(users, random)
        history = self._history(rows, random, share) if self.settings.history else None
        drawn_users = DrawnUsers(_tensor(codes[share]), _tensor(numbers[share]), history)
        ids = self._shown_ids(items, random)
        hardest_only = self.negatives.kind == "hard" and step >= self.hard_after
        positive_offsets = _tensor(self.offsets[items[share]])
        if self.negatives.kind == "uniform":
            count = self.negatives.per_positive
            others, valid = draw_uniform(self.known, users, self.played, count, random)
            others_ids = self._shown_ids(others, random)[share].reshape(-1)
            others, valid = others[share].reshape(-1), valid[share]
            offsets = self.offsets[others]
        else:
            others = self.played[random.integers(0, len(self.played), self.negatives.shared)]
            columns = np.concatenate([items, others])
            valid = ~self.known.in_columns(users, columns)
            others_ids = self._shown_ids(others, random)
            offsets = self.offsets[columns]
        drawn_items = DrawnItems(
            _tensor(np.concatenate([items[share], others])), _tensor(np.concatenate([ids[share], others_ids]))
        )
        return TowerBatch(
            drawn_users, drawn_items, positive_offsets, _tensor(offsets), _tensor(valid), hardest_only
        )

    def _rows(self, step: int) -> Ints:
        """Return the examples of a step: every epoch is another order of all of them."""
        samples = step * self.batch + np.arange(self.batch)
        epochs, numbers = np.divmod(samples, len(self.examples))
        rows = np.empty_like(numbers)
        for epoch in np.unique(epochs):
            chosen = epochs == epoch
            rows[chosen] = permute(numbers[chosen], len(self.examples), self.seed, int(epoch))
        return rows

    def _shown_ids(self, tracks: Ints, random: np.random.Generator) -> Ints:
        """Return the places of their id embeddings, 0 for a random share of them too."""
        return self.ids[tracks] * (random.random(tracks.shape) >= self.settings.track_id_dropout)

    def _fields(self, users: Ints, random: np.random.Generator) -> tuple[Ints, Floats]:
        codes, numbers = self.users.codes[users], self.users.numbers[users]
        share = np.full(codes.shape[1], self.settings.field_dropout)
        if self.user_place >= 0:
            share[self.user_place] = self.settings.user_id_dropout
        codes = np.where(random.random(codes.shape) < share, 0, codes)
        dropped = random.random((len(users), numbers.shape[1] // 2)) < self.settings.field_dropout
        numbers[:, 0::2][dropped], numbers[:, 1::2][dropped] = 0.0, 1.0
        return codes, numbers

    def _history(self, rows: Ints, random: np.random.Generator, share: slice) -> DrawnHistory:
        """Return what was played before each example, some of it left out."""
        settings, examples = self.settings, self.examples
        times = None if examples.times is None else examples.times[rows]
        users, items = examples.users[rows], examples.items[rows]
        tracks, weights = self.histories.read(users, settings, before=times, without=items)
        weights = weights * (random.random(weights.shape, dtype=np.float32) >= settings.history_dropout)
        weights *= random.random((len(rows), 1)) >= settings.field_dropout
        total = weights.sum(axis=1, keepdims=True)
        weights = np.divide(weights, total, out=np.zeros_like(weights), where=total > 0)
        shown = random.random((len(rows), 1)) >= settings.track_id_dropout
        id_weights = (weights * shown * (self.ids[tracks] > 0)).astype(np.float32)
        parts = (tracks[share], weights[share], self.ids[tracks[share]], id_weights[share])
        return DrawnHistory(*map(_tensor, parts))

    def user_inputs(self, drawn: DrawnUsers) -> UserInputs:
        """Return what the towers take of users, from what was drawn."""
        self.content = self.content.to(drawn.codes.device)
        if drawn.history is None:
            return UserInputs(drawn.codes, drawn.numbers, None)
        tracks, weights, ids, id_weights = drawn.history
        with torch.no_grad():
            mean = F.embedding_bag(tracks, self.content, per_sample_weights=weights, mode="sum")
        history = HistoryInputs(mean, weights.sum(dim=1) > 0, ids, id_weights)
        return UserInputs(drawn.codes, drawn.numbers, history)

    def item_inputs(self, drawn: DrawnItems) -> ItemInputs:
        """Return what the towers take of items, from what was drawn."""
        device = drawn.tracks.device
        if self.clips is None:
            self.content = self.content.to(device)
            return ItemInputs(self.content[drawn.tracks], drawn.ids)
        clips, there = (values.to(device) for values in self.clips)
        return ItemInputs(clips[drawn.tracks], drawn.ids, there[drawn.tracks])

    def loss(self, module: nn.Module, batch: TowerBatch) -> dict[str, Tensor]:
        """Return the loss, and the scale the towers have learned."""
        vectors = module(self.user_inputs(batch.users), self.item_inputs(batch.items))
        return self.compare(vectors, batch)

    def compare(self, vectors: TowerVectors, batch: TowerBatch) -> dict[str, Tensor]:
        """Return the loss of users against their positives and negatives, given their vectors."""
        users, items, scale, bias = vectors
        count, valid = len(users), batch.valid
        if self.negatives.kind == "uniform":
            negatives = items[count:].reshape(count, -1, items.shape[1])
            positive = (users * items[:count]).sum(dim=1) * scale + bias + batch.positive_offsets
            others = (
                (negatives @ users[:, :, None]).squeeze(2) * scale + bias + batch.offsets.reshape(count, -1)
            )
        else:  # over the rows of all processes, so that their number changes nothing
            users = self.gather(users)
            columns = torch.cat([self.gather(items[:count]), items[count:]])
            others = torch.addmm(bias + batch.offsets, users * scale, columns.T)
            positive = (users * columns[: len(users)]).sum(dim=1) * scale + bias + batch.offsets[: len(users)]
        if batch.hardest_only:
            others, valid = keep_hardest(others, valid, self.negatives.hardest)
        loss = LOSSES[self.objective.loss].compare(positive, others, valid)
        return {"loss": loss, "scale": scale.detach().sum()}

    def evaluate(self, module: nn.Module, step: int) -> dict[str, float]:  # noqa: ARG002
        """Judge the towers on the validation slice."""
        assert isinstance(module, Towers)
        return self.judge(module, self.content)


def _tensor(array: NDArray[np.generic]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array))
