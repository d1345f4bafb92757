"""Changes to the clips that training sees, so that little music teaches more."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from audiomae.checks import require, require_all

__all__ = ["AugmentSettings", "augment_clips"]


@dataclass(frozen=True)
class AugmentSettings:
    """How far a training clip may be changed; each clip is changed by itself, partners of a pair too.

    Attributes:
        mix: Largest share of a clip's power that comes from another song, from 0 to below 1.
        stretch: Largest slowing down: a clip may show as little as 1 / (1 + stretch) of its time; 0 or more.
        shift: Largest move along the mel bands, up or down, in bands; 0 or more.
    """

    mix: float = 0.0
    stretch: float = 0.0
    shift: float = 0.0

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        require("augment.mix", self.mix, least=0, below=1)
        require_all(self, "stretch", "shift", prefix="augment.", least=0)

    def __bool__(self) -> bool:
        """Tell whether anything is changed at all."""
        return bool(self.mix or self.stretch or self.shift)


def mix_clips(
    clips: Float[Tensor, "clips frames mels"],
    others: Float[Tensor, "clips frames mels"],
    share: Float[Tensor, " clips"],
) -> Float[Tensor, "clips frames mels"]:
    """Add other songs to clips as if both had been played at once, at equal mean level.

    Args:
        clips: Natural log-mels.
        others: As many clips of other songs.
        share: Share of the power that the other song gets, in [0, 1).

    Returns:
        log((1 - share) exp(clip) + share exp(other)), of the clip's own level where the share is 0.

    Source: log-mixup-exp, Niizumi et al. 2021, "BYOL for Audio" (arXiv:2103.06695).
    """
    clips, others = clips.float(), others.float()
    level = (clips.mean(dim=(1, 2)) - others.mean(dim=(1, 2)))[:, None, None]
    share = share.float()[:, None, None]
    return torch.logaddexp(clips + torch.log1p(-share), others + level + torch.log(share))


def warp_clips(
    clips: Float[Tensor, "clips frames mels"],
    shown: Float[Tensor, " clips"],
    place: Float[Tensor, " clips"],
    shift: Float[Tensor, " clips"],
) -> Float[Tensor, "clips frames mels"]:
    """Slow clips down and move them along the mel bands.

    Args:
        clips: Log-mels.
        shown: Share of the clip's time that is stretched over all of it, in (0, 1].
        place: Where that share lies: 0 at the start of the clip, 1 at its end.
        shift: Move in mel bands; positive numbers move the sound up. The outermost band fills what is bared.

    Source: after the random resize crop of Niizumi et al. 2021, "BYOL for Audio" (arXiv:2103.06695).
    """
    clips = clips.float()
    count, frames, mels = clips.shape
    first = place * (1 - shown) * (frames - 1)
    times = first[:, None] + shown[:, None] * torch.arange(frames, device=clips.device)
    bands = torch.arange(mels, device=clips.device) - shift[:, None]
    grid = torch.stack(
        [
            (2 * bands / max(1, mels - 1) - 1)[:, None, :].expand(count, frames, mels),
            (2 * times / max(1, frames - 1) - 1)[:, :, None].expand(count, frames, mels),
        ],
        dim=-1,
    )
    return functional.grid_sample(clips[:, None], grid, padding_mode="border", align_corners=True)[:, 0]


def augment_clips(
    clips: Float[Tensor, "clips frames mels"],
    others: Float[Tensor, "mixed frames mels"],
    draws: Float[Tensor, "clips 4"],
    config: AugmentSettings,
) -> Float[Tensor, "clips frames mels"]:
    """Change clips as far as their draws say.

    Args:
        clips: Natural log-mels.
        others: As many clips of other songs; none where nothing is mixed.
        draws: Four numbers in [0, 1) a clip: share mixed in, share of time shown, its place, move along the bands.
        config: How far.
    """
    if config.mix:
        clips = mix_clips(clips, others, config.mix * draws[:, 0])
    if config.stretch or config.shift:
        shown = 1 / (1 + config.stretch * draws[:, 1])
        clips = warp_clips(clips, shown, draws[:, 2], config.shift * (2 * draws[:, 3] - 1))
    return clips
