"""How well towers in training find the plays of the validation slice, and the weight of popularity that helps most."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from audiomae.listening.tables import Interactions
from audiomae.recommend.catalogue.items import log_prior_of, unplayed_log_prior
from audiomae.recommend.evaluation.metrics import Truth, score_lists
from audiomae.recommend.towers.batch import HistoryInputs, TrackClips, UserInputs
from audiomae.recommend.towers.features import Encoded
from audiomae.recommend.towers.histories import Histories
from audiomae.recommend.towers.negatives import KnownPositives
from audiomae.recommend.towers.network import Towers

__all__ = ["GAMMAS", "K", "TowerCheck"]

Ints = NDArray[np.int64]

GAMMAS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0)
"""Weights of log q that are tried, where popularity is apart from the towers."""

K = 20
"""Length of the lists that are judged."""

_BLOCK_SCORES = 20_000_000


class TowerCheck:
    """Ranks the whole catalogue for some users of the validation slice, without what they played before.

    Judged are plays of tracks that are new to their users, those that nobody had played included.

    Args:
        train: Plays known before.
        validation: Plays to find.
        users: The users' fields as numbers.
        ids: Place of each track in the table of id embeddings, 0 for none, (tracks,).
        gammas: Weights of log q to try.
        most_users: Users to judge at most, evenly chosen.
        clips: Clips of each track, for attention.
        k: Length of a list.
    """

    def __init__(
        self,
        train: Interactions,
        validation: Interactions,
        users: Encoded,
        ids: Ints,
        *,
        gammas: Sequence[float] = GAMMAS,
        most_users: int = 1000,
        clips: TrackClips | None = None,
        k: int = K,
    ) -> None:
        tracks = len(train.track_ids)
        self.clips, self.users = clips, users
        self.ids, self.gammas, self.k = torch.from_numpy(ids), tuple(gammas), k
        plays = np.bincount(train.tracks, minlength=tracks)
        self.priors = {
            gamma: torch.from_numpy(log_prior_of(plays, unplayed=unplayed_log_prior(plays, gamma=gamma)))
            for gamma in self.gammas
        }
        self.histories = Histories.build(train)
        self.known = KnownPositives(train.users, train.tracks, (len(train.user_ids), tracks))
        asked = validation.users.astype(np.int64), validation.tracks.astype(np.int64)
        kept = ~self.known.contains(*asked)
        truth = Truth.of_pairs(asked[0][kept], asked[1][kept], tracks)
        most = min(most_users, len(truth.users))
        chosen = np.zeros(len(train.user_ids), np.bool_)
        chosen[truth.users[np.linspace(0, len(truth.users) - 1, most).astype(np.int64)]] = True
        mask = chosen[asked[0]] & kept
        self.truth = Truth.of_pairs(asked[0][mask], asked[1][mask], tracks)

    def __call__(self, towers: Towers, content: Tensor) -> dict[str, float]:
        """Return recall and NDCG at k with the best weight of popularity, and that weight; nothing without users."""
        if not len(self.truth.users):
            return {}
        found = {gamma: self.judge(lists) for gamma, lists in self.lists(towers, content).items()}
        best = max(found, key=lambda gamma: found[gamma][f"ndcg@{self.k}"])
        scores = {f"validation_{name}": value for name, value in found[best].items()}
        return {**scores, "gamma": best, "validation_users": float(len(self.truth.users))}

    def judge(self, lists: Ints) -> dict[str, float]:
        """Return the means over the users of recall and NDCG of their lists, (users, k)."""
        scores = score_lists(lists, self.truth, (self.k,))
        return {name: float(scores[name].mean()) for name in (f"recall@{self.k}", f"ndcg@{self.k}")}

    @torch.inference_mode()
    def lists(self, towers: Towers, content: Tensor) -> dict[float, Ints]:
        """Return the best k tracks of each user, (users, k), for each weight of popularity."""
        device = towers.log_scale.device
        content = content.to(device)
        items = F.normalize(self._items(towers, content), dim=1, eps=1e-8)
        priors = {gamma: prior.to(device) for gamma, prior in self.priors.items()}
        out: dict[float, list[Ints]] = {gamma: [] for gamma in self.gammas}
        block = max(1, _BLOCK_SCORES // len(items))
        for first in range(0, len(self.truth.users), block):
            users = self.truth.users[first : first + block]
            cosines = self._users(towers, users, content) @ items.T * towers.scale
            played = torch.from_numpy(self.known.in_columns(users, np.arange(len(items)))).to(device)
            for gamma, prior in priors.items():
                scores = (cosines + gamma * prior).masked_fill_(played, float("-inf"))
                places = scores.topk(min(self.k, len(items)), dim=1)
                lists = places.indices.masked_fill(places.values == float("-inf"), -1)
                out[gamma].append(lists.cpu().numpy())
        return {gamma: np.concatenate(parts) for gamma, parts in out.items()}

    def _items(self, towers: Towers, content: Tensor) -> Tensor:
        parts, device = [], content.device
        for first in range(0, len(content), 8192):
            rows = slice(first, first + 8192)
            pooled = content[rows]
            if self.clips is not None:
                vectors, there = (values[rows].to(device) for values in self.clips)
                pooled = towers.item.pool(vectors, there)
            parts.append(towers.item(pooled, self.ids[rows].to(device)))
        return torch.cat(parts)

    def _users(self, towers: Towers, users: Ints, content: Tensor) -> Tensor:
        device = content.device
        codes, numbers = (torch.from_numpy(values[users]).to(device) for values in self.users)
        history = None
        if towers.settings.history:
            read = self.histories.read(users, towers.settings)
            tracks, weights = (
                torch.from_numpy(read.tracks).to(device),
                torch.from_numpy(read.weights).to(device),
            )
            ids = self.ids.to(device)[tracks]
            mean = F.embedding_bag(tracks, content, per_sample_weights=weights, mode="sum")
            history = HistoryInputs(mean, weights.sum(dim=1) > 0, ids, weights * (ids > 0))
        return towers.embed_users(UserInputs(codes, numbers, history))
