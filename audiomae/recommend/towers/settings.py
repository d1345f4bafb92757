"""Sizes and parts of the towers."""

from __future__ import annotations

from dataclasses import dataclass

from audiomae.checks import require, require_all

__all__ = ["TowerSettings"]


@dataclass(frozen=True)
class TowerSettings:
    """Sizes and parts of the two towers.

    Attributes:
        dim: Length of the vectors of users and items.
        hidden: Width of the user tower's layers.
        layers: Layers of the user tower.
        history: Whether a user's vector sees the tracks they played.
        longest: Plays that a history holds at most.
        half_life_days: Age at which a play weighs half; 0 weighs all alike.
        residual: Whether history and user id are also added to the user tower's end, past its layers.
        track_ids: Whether tracks that were played in the training get a trained vector, their id embedding, beside
            their content.
        track_id_dropout: Share of draws in which a track is shown without it, so that tracks nobody played are
            not at a loss.
        user_id_dropout: Share of draws in which a user is shown without their id embedding.
        field_dropout: Share of draws in which any other field of a user is shown as unknown.
        history_dropout: Share of the plays of a history that are left out of a draw.
        attention_clips: Clips of a track that attention pools; 0 takes the mean of all its clips.
    """

    dim: int = 64
    hidden: int = 128
    layers: int = 4
    history: bool = True
    longest: int = 50
    half_life_days: float = 90.0
    residual: bool = True
    track_ids: bool = True
    track_id_dropout: float = 0.2
    user_id_dropout: float = 0.2
    field_dropout: float = 0.05
    history_dropout: float = 0.2
    attention_clips: int = 0

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        require("towers.dim", self.dim, least=2)
        require_all(self, "hidden", "layers", "longest", prefix="towers.", least=1)
        require_all(self, "attention_clips", "half_life_days", prefix="towers.", least=0)
        shares = ("track_id_dropout", "user_id_dropout", "field_dropout", "history_dropout")
        require_all(self, *shares, prefix="towers.", least=0, below=1)
