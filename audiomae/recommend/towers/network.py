"""The two towers: users and items as 64 numbers each, whose cosine says how well they go together."""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from audiomae.recommend.towers.batch import HistoryInputs, ItemInputs, TowerVectors, UserInputs
from audiomae.recommend.towers.features import UserFeatures
from audiomae.recommend.towers.settings import TowerSettings

__all__ = ["Towers"]

MOST_SCALE = 100.0


class ItemTower(nn.Module):
    """Content, standardised → linear projection; plus the track's id embedding where it has one.

    Args:
        values: Length of a content vector.
        tracks: Tracks with an id embedding.
        settings: Sizes.

    Attributes:
        mean: Mean of each content value over the catalogue.
        std: Its standard deviation, 1 where it does not vary.
        own: Id embeddings as items (weights on disk carry this name); None without.
        heard: Id embeddings as parts of a history; None without.
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
        """Return item vectors, not normalised; id 0 is a track without an id embedding."""
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
        self.sizes = features.sizes
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


class Towers(nn.Module):
    """Both towers, and the scale and bias that turn a cosine into a logit.

    Args:
        features: Columns of the users' table.
        values: Length of a content vector.
        tracks: Tracks with an id embedding.
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

    def history(self, played: HistoryInputs) -> Float[Tensor, "n dim"]:
        """Return the weighted mean of the vectors of the tracks each user played; zero where there is none."""
        vectors = self.item.project(played.content)
        if self.item.heard is not None:
            vectors = vectors + F.embedding_bag(
                played.ids, self.item.heard.weight, per_sample_weights=played.id_weights, mode="sum"
            )
        return vectors * played.there[:, None].to(vectors.dtype)

    def embed_users(self, users: UserInputs) -> Float[Tensor, "n dim"]:
        """Return unit vectors of users."""
        count = len(users.numbers)
        if users.history is None:
            history = users.numbers.new_zeros(count, self.settings.dim)
            there = torch.zeros(count, dtype=torch.bool, device=history.device)
        else:
            history, there = self.history(users.history), users.history.there
        return self.user(users.codes, users.numbers, history, there)  # type: ignore[no-any-return]

    def forward(self, users: UserInputs, items: ItemInputs) -> TowerVectors:
        """Embed users and items."""
        vectors = self.embed_users(users)
        pooled = items.content if items.there is None else self.item.pool(items.content, items.there)
        unit = F.normalize(self.item(pooled, items.ids), dim=1, eps=1e-8)
        return TowerVectors(vectors, unit, self.scale, self.bias)


def _embedding(places: int, dim: int) -> nn.Embedding:
    """Return a table whose place 0 is one of its own, and small enough not to drown the content."""
    table = nn.Embedding(places, dim)
    nn.init.normal_(table.weight, std=0.3 / math.sqrt(dim))
    return table
