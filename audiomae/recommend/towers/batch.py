"""What goes from a draw to the towers and from the towers to a loss."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

__all__ = [
    "AudioClips",
    "DrawnHistory",
    "DrawnItems",
    "DrawnUsers",
    "HistoryInputs",
    "ItemInputs",
    "TowerBatch",
    "TowerVectors",
    "TrackClips",
    "UserInputs",
]


class TrackClips(NamedTuple):
    """Clips of every track of the content, for towers that pool them by attention."""

    vectors: Tensor
    """(tracks, clips, values)."""
    there: Tensor
    """Which of them there are, (tracks, clips)."""


class DrawnHistory(NamedTuple):
    """What each user of a batch played before."""

    tracks: Tensor
    """Rows of the content, (n, longest)."""
    weights: Tensor
    """What each weighs in the mean content, (n, longest)."""
    ids: Tensor
    """Their places in the table of id embeddings, 0 for none, (n, longest)."""
    id_weights: Tensor
    """What each weighs in the mean id embedding, (n, longest)."""


class DrawnUsers(NamedTuple):
    """Users of a batch."""

    codes: Tensor
    """Coded fields, (n, columns)."""
    numbers: Tensor
    """Numeric fields, (n, numbers)."""
    history: DrawnHistory | None
    """None where towers see no history."""


class DrawnItems(NamedTuple):
    """Tracks of a batch: the n positives, then the negatives."""

    tracks: Tensor
    """Rows of the content, (m,)."""
    ids: Tensor
    """Their places in the table of id embeddings, 0 where none is shown, (m,)."""


class AudioClips(NamedTuple):
    """A clip of each track of a batch, for towers that learn through the encoder."""

    mels: Tensor
    """One clip a track, (tracks, frames, mels) float16."""
    place: Tensor
    """Which of them is that of each item, (m,)."""


class TowerBatch(NamedTuple):
    """This process's share of a step."""

    users: DrawnUsers
    items: DrawnItems
    positive_offsets: Tensor
    """What is added to the logits of the positives, (n,)."""
    offsets: Tensor
    """What is added to those of the tracks that users are compared with: (n · per_positive,) where negatives are
    uniform, a number a column, (columns,), where all users share them."""
    valid: Tensor
    """Which tracks are negatives of which user, (n, per_positive) or (users of all processes, columns)."""
    hardest_only: bool
    """Whether only the hardest negatives are kept at this step."""
    audio: AudioClips | None = None


class HistoryInputs(NamedTuple):
    """Histories as the towers take them."""

    content: Tensor
    """Weighted mean of the content of what each user played, (n, values)."""
    there: Tensor
    """Whether there is any, (n,)."""
    ids: Tensor
    """Places of what was played in the table of id embeddings, 0 for none, (n, longest)."""
    id_weights: Tensor
    """What each weighs, (n, longest); 0 leaves its id embedding out."""


class UserInputs(NamedTuple):
    """Users as the towers take them."""

    codes: Tensor
    """Coded fields, (n, columns)."""
    numbers: Tensor
    """Numeric fields, (n, numbers)."""
    history: HistoryInputs | None
    """None for towers that see no history."""


class ItemInputs(NamedTuple):
    """Items as the towers take them."""

    content: Tensor
    """A vector a track, (m, values), or its clips, (m, clips, values)."""
    ids: Tensor
    """Places in the table of id embeddings, 0 for none, (m,)."""
    there: Tensor | None = None
    """Which clips there are, (m, clips), where `content` holds clips."""


class TowerVectors(NamedTuple):
    """What a loss compares."""

    users: Tensor
    """Unit vectors of the users, (n, dim)."""
    items: Tensor
    """Unit vectors of the items, (m, dim)."""
    scale: Tensor
    """Factor of the cosines, (1,)."""
    bias: Tensor
    """What is added to them, (1,)."""
