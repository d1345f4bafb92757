"""The two towers: users and items as 64 numbers each, whose cosine says how well they go together."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from audiomae.recommend.towers.features import UserFeatures
from audiomae.recommend.towers.settings import TowerSettings

__all__ = ["ItemTower", "TowerSettings", "Towers", "UserTower", "Vectors"]

MOST_SCALE = 100.0


class ItemTower(nn.Module):
    """Content, standardised → linear projection; plus the track's own vector where there is one.

    Args:
        values: Length of a content vector.
        tracks: Tracks with a vector of their own.
        settings: Sizes.

    Attributes:
        mean: Mean of each content value over the catalogue.
        std: Its standard deviation, 1 where it does not vary.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, values: int, tracks: int, settings: TowerSettings) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(values))
        self.register_buffer("std", torch.ones(values))
        self.projection = nn.Linear(values, settings.dim, bias=False)
        nn.init.normal_(self.projection.weight, std=1.0 / math.sqrt(values * settings.dim))
        self.own = self.heard = None
        if settings.track_ids:
            self.own = _embedding(tracks + 1, settings.dim)
            self.heard = _embedding(tracks + 1, settings.dim) if settings.history else None
        self.attention = None
        if settings.attention_clips:
            self.attention = nn.Sequential(
                nn.Linear(values, settings.dim), nn.Tanh(), nn.Linear(settings.dim, 1)
            )

    def fit_statistics(self, content: Float[Tensor, "tracks values"]) -> None:
        """Take mean and deviation from the catalogue's content."""
        std = content.double().std(dim=0, unbiased=False)
        self.mean.copy_(content.double().mean(dim=0))
        self.std.copy_(torch.where(std > 1e-6, std, torch.ones_like(std)))

    def pool(self, clips: Float[Tensor, "n clips values"], there: Bool[Tensor, "n clips"]) -> Tensor:
        """Pool clips by attention, or evenly without it: (n, values); the clips that are not there are left out."""
        if self.attention is None:
            weights = there.to(clips.dtype)
            return (clips * weights[:, :, None]).sum(dim=1) / weights.sum(dim=1, keepdim=True).clamp_min(1)
        scores: Tensor = self.attention((clips - self.mean) / self.std).squeeze(2)
        shares = scores.masked_fill(~there, -1e9).softmax(dim=1)
        return (clips * shares[:, :, None]).sum(dim=1)

    def project(self, content: Float[Tensor, "n values"]) -> Float[Tensor, "n dim"]:
        """Project content alone."""
        return self.projection((content - self.mean) / self.std)  # type: ignore[no-any-return]

    def forward(self, content: Float[Tensor, "n values"], ids: Int[Tensor, " n"]) -> Float[Tensor, "n dim"]:
        """Return item vectors, not normalised; id 0 is a track without a vector of its own."""
        vectors = self.project(content)
        if self.own is not None:
            vectors = vectors + self.own(ids)
        return vectors


class UserTower(nn.Module):
    """What is known of a user → MLP → unit vector.

    Args:
        features: Columns, with their sizes.
        settings: Sizes.
    """

    def __init__(self, features: UserFeatures, settings: TowerSettings) -> None:
        super().__init__()
        self.sizes = tuple(column.size for column in features.coded)
        self.user_place, self.residual, self.with_history = (
            features.user_place,
            settings.residual,
            settings.history,
        )
        self.tables = nn.ModuleDict()
        width = 2 * len(features.numeric)
        for place, size in enumerate(self.sizes):
            if place == self.user_place:
                self.tables[str(place)] = _embedding(size, settings.dim)
                width += settings.dim
            elif size > features.one_hot:
                wide = min(settings.dim, 2 * math.ceil(math.sqrt(size)))
                self.tables[str(place)] = _embedding(size, wide)
                width += wide
            else:
                width += size
        width += settings.dim + 1 if settings.history else 0
        parts: list[nn.Module] = []
        for number in range(settings.layers):
            last = number == settings.layers - 1
            parts.append(nn.Linear(max(1, width), settings.dim if last else settings.hidden))
            parts += [] if last else [nn.GELU()]
            width = settings.hidden
        self.layers = nn.Sequential(*parts)
        self.mix = nn.Parameter(torch.ones(settings.dim)) if settings.residual and settings.history else None

    def forward(
        self,
        codes: Int[Tensor, "n columns"],
        numbers: Float[Tensor, "n numbers"],
        history: Float[Tensor, "n dim"],
        has_history: Bool[Tensor, " n"],
    ) -> Float[Tensor, "n dim"]:
        """Return unit vectors of users; a history that is not there is zero."""
        parts, sum_of = [numbers], []
        for place, size in enumerate(self.sizes):
            name = str(place)
            if name in self.tables:
                parts.append(self.tables[name](codes[:, place]))
                if place == self.user_place:
                    sum_of.append(parts[-1])
            else:
                parts.append(F.one_hot(codes[:, place], size).to(numbers.dtype))
        if self.with_history:
            direction = F.normalize(history, dim=1, eps=1e-8)
            parts += [direction * math.sqrt(history.shape[1]), has_history[:, None].to(numbers.dtype)]
            if self.mix is not None:
                sum_of.append(direction * self.mix)
        inputs = torch.cat(parts, dim=1)
        if inputs.shape[1] == 0:
            inputs = inputs.new_ones(len(inputs), 1)
        vectors = self.layers(inputs)
        if self.residual:
            vectors = vectors + sum(sum_of) if sum_of else vectors
        return F.normalize(vectors, dim=1, eps=1e-8)


class Vectors(NamedTuple):
    """What a loss compares."""

    users: Tensor
    """Unit vectors of the users, (n, dim)."""
    items: Tensor
    """Unit vectors of the items, (m, dim)."""
    scale: Tensor
    """Factor of the cosines, (1,)."""
    bias: Tensor
    """What is added to them, (1,)."""


class Towers(nn.Module):
    """Both towers, and the scale and bias that turn a cosine into a logit.

    Args:
        features: Columns of the users' table.
        values: Length of a content vector.
        tracks: Tracks with a vector of their own.
        settings: Sizes.
        scale: First factor of the cosines.
        bias: First bias; −log(negatives per positive) for cross-entropy on pairs.
        train_bias: Whether the bias is trained; softmax cannot see it.

    Attributes:
        fused_optimizer: Asks the training for one kernel a step over the large tables, on CPUs too.
    """

    fused_optimizer = True

    def __init__(
        self,
        features: UserFeatures,
        values: int,
        tracks: int,
        settings: TowerSettings,
        *,
        scale: float = 20.0,
        bias: float = 0.0,
        train_bias: bool = False,
    ) -> None:
        super().__init__()
        self.settings = settings
        self.user = UserTower(features, settings)
        self.item = ItemTower(values, tracks, settings)
        self.log_scale = nn.Parameter(torch.full((1,), math.log(scale)))
        self.bias = nn.Parameter(torch.full((1,), bias), requires_grad=train_bias)

    @property
    def scale(self) -> Tensor:
        """Factor of the cosines, at most 100, (1,)."""
        return self.log_scale.exp().clamp_max(MOST_SCALE)

    def history(
        self,
        content: Float[Tensor, "n values"],
        has: Bool[Tensor, " n"],
        ids: Int[Tensor, "n longest"],
        weights: Float[Tensor, "n longest"],
    ) -> Float[Tensor, "n dim"]:
        """Return the weighted mean of the vectors of the tracks heard; zero where there is none.

        Args:
            content: Weighted mean of their content.
            has: Whether there is any.
            ids: Their places in the table of own vectors, 0 for none.
            weights: What each weighs; 0 leaves its own vector out.
        """
        vectors = self.item.project(content)
        if self.item.heard is not None:
            vectors = vectors + F.embedding_bag(
                ids, self.item.heard.weight, per_sample_weights=weights, mode="sum"
            )
        return vectors * has[:, None].to(vectors.dtype)

    def forward(
        self,
        codes: Tensor,
        numbers: Tensor,
        heard_content: Tensor,
        has_history: Tensor,
        heard_ids: Tensor,
        heard_weights: Tensor,
        content: Tensor,
        ids: Tensor,
        there: Tensor | None = None,
    ) -> Vectors:
        """Embed users and items.

        Args:
            codes: Coded fields of the users, (n, columns).
            numbers: Numeric fields, (n, numbers).
            heard_content: Mean content of what they heard, (n, values).
            has_history: Whether they heard anything, (n,).
            heard_ids: Own vectors of what they heard, (n, longest).
            heard_weights: Their weights, (n, longest).
            content: Content of the items, (m, values), or of their clips, (m, clips, values).
            ids: Own vectors of the items, (m,), 0 for none.
            there: Which clips there are, (m, clips).
        """
        if self.settings.history:
            history = self.history(heard_content, has_history, heard_ids, heard_weights)
        else:
            history = numbers.new_zeros(len(numbers), self.settings.dim)
        users = self.user(codes, numbers, history, has_history)
        pooled = content if there is None else self.item.pool(content, there)
        items = F.normalize(self.item(pooled, ids), dim=1, eps=1e-8)
        return Vectors(users, items, self.scale, self.bias)


def _embedding(places: int, dim: int) -> nn.Embedding:
    """Return a table whose place 0 is one of its own, and small enough not to drown the content."""
    table = nn.Embedding(places, dim)
    nn.init.normal_(table.weight, std=0.3 / math.sqrt(dim))
    return table
