"""What `pretrain` trains: the masked autoencoder on a corpus's clips."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from audiomae.corpus.clips import ClipStream, clip_starts, read_clips, uniform
from audiomae.corpus.corpus import Corpus
from audiomae.model.autoencoder import Autoencoder, normalise_patches, split_places
from audiomae.model.clip_head import pair_loss
from audiomae.model.config import ModelSettings
from audiomae.model.level import normalise_clips
from audiomae.pretraining.augmentation import AugmentSettings, augment_clips
from audiomae.pretraining.guesses import nearest_column_loss, position_mean_loss
from audiomae.pretraining.pictures import draw_reconstruction
from audiomae.pretraining.settings import MaskSettings, PairSettings
from audiomae.training.gather import gather_rows

__all__ = ["MaskedBatch", "MaskedTask", "sample_numbers"]

Ints = npt.NDArray[np.int64]

JUDGED_CLIPS = 256
"""Held-out clips that the loss is reported on."""

MASKS_DRAWN = 128
"""Masks that are drawn together, from a key of their own; a process draws those that its share of a batch needs."""


class Changes(NamedTuple):
    """How the clips of a batch are changed before the model hears them."""

    others: Float[Tensor, "mixed frames mels"]
    """Clips of other songs to mix in, one a clip; none where nothing is mixed."""
    draws: Float[Tensor, "clips 4"]
    """Four numbers in [0, 1) a clip that say how far."""


class Compared(NamedTuple):
    """What a part of a step needs of the others for the clip-level term."""

    pull: Float[Tensor, "rows projection"]
    """Gradient of the term by the part's unit vectors."""
    value: Float[Tensor, ""]
    """The term over all parts."""


class MaskedBatch(NamedTuple):
    """One process's share of a step; each clip gives as many rows as it has masks."""

    clips: Float[Tensor, "clips frames mels"]
    """Log-mels as they are stored, float16."""
    seen: Int[Tensor, "rows seen"]
    """Places of the visible patches."""
    hidden: Int[Tensor, "rows hidden"]
    """Places of the masked patches to rebuild."""
    tracks: Int[Tensor, " rows"]
    """Index of each row's track."""
    changes: Changes | None = None
    """How the clips are changed, where they are."""
    compared: Compared | None = None
    """From `MaskedTask.compare_parts`, where the batch is a part of a step."""


def sample_numbers(step: int, share: slice, *, batch: int, rows: int) -> Ints:
    """Return the sample numbers of a share of a step's global batch.

    Args:
        step: Number of the step.
        share: Rows of the global batch; starts and stops at whole samples.
        batch: Rows of the global batch.
        rows: Neighbouring rows that one sample gives.
    """
    return np.arange(share.start // rows, share.stop // rows) + step * (batch // rows)


class MaskedTask:
    """A task for the training loop.

    Every draw is a function of (seed, step), so nothing but the step is needed to go on.

    Args:
        corpus: Log-mels.
        sizes: Sizes of the model; its weights come from torch's default generator.
        mask: What is masked.
        pairs: The clip-level term.
        split: Indices of training and held-out tracks.
        batch: Clips in a step, over all processes.
        seed: Key of order and masks.
        pictures: Folder for reconstructions; None draws nothing.
        masks: Masks that each clip is used with, so that batch / masks clips are read in a step.
        augment: How far the clips trained on are changed; held-out clips never are.
    """

    def __init__(
        self,
        corpus: Corpus,
        sizes: ModelSettings,
        mask: MaskSettings,
        pairs: PairSettings,
        *,
        split: tuple[Ints, Ints],
        batch: int,
        seed: int,
        pictures: Path | None,
        masks: int = 1,
        augment: AugmentSettings | None = None,
    ) -> None:
        self.corpus, self.sizes, self.mask = corpus, sizes, mask
        self.pairs = pairs.with_nearest(corpus.mel.seconds_of(sizes.clip_frames))
        self.batch, self.seed, self.pictures, self.masks = batch, seed, pictures, masks
        self.augment = augment or AugmentSettings()
        self.autoencoder = Autoencoder(sizes)
        self.module: nn.Module = self.autoencoder
        train_tracks, held_tracks = split
        self.stream = ClipStream(corpus, train_tracks, sizes.clip_frames, seed)
        self.judged = torch.from_numpy(self._grid(held_tracks))
        generator = torch.Generator().manual_seed(seed)
        self.judged_mask = mask.draw(len(self.judged), sizes, generator)
        self.baselines = self._baselines()

    def _grid(self, tracks: Ints) -> npt.NDArray[np.float16]:
        """Read evenly spaced clips of the held-out tracks."""
        frames = self.sizes.clip_frames
        starts = [clip_starts(int(self.corpus.frames[track]), frames, frames) for track in tracks]
        owners = np.repeat(tracks, [len(one) for one in starts])
        every = np.concatenate(starts)
        chosen = np.unique(np.linspace(0, len(every) - 1, min(JUDGED_CLIPS, len(every))).astype(np.int64))
        return read_clips(self.corpus, owners[chosen], every[chosen], frames)

    def _targets(self, clips: Tensor) -> Tensor:
        return normalise_patches(self.autoencoder.patches_of(normalise_clips(clips, self.corpus.std)))

    def _baselines(self) -> dict[str, float]:
        count = min(1024, len(self.stream))
        mean = self._targets(torch.from_numpy(self.stream.read(np.arange(count)))).mean(dim=0)
        target = self._targets(self.judged)
        return {
            "held_out_position_mean": position_mean_loss(target, self.judged_mask, mean),
            "held_out_nearest_column": nearest_column_loss(target, self.judged_mask),
        }

    def units(self) -> Sequence[nn.Module]:
        """Return the blocks of encoder and decoder."""
        return self.autoencoder.blocks

    def draw(self, step: int, share: slice) -> MaskedBatch:
        """Return a share of a step, on the CPU; a function of its arguments alone."""
        tracks, starts = self._places(step, share)
        clips = torch.from_numpy(read_clips(self.corpus, tracks, starts, self.sizes.clip_frames))
        seen, hidden = self._masks(step, share)
        changes = self._changes(step, share) if self.augment else None
        return MaskedBatch(clips, seen, hidden, self._views(torch.from_numpy(tracks)), changes)

    def _masks(self, step: int, share: slice) -> tuple[Tensor, Tensor]:
        """Return the places seen and to rebuild of a share, at a cost that does not grow with the whole batch."""
        parts = []
        for block in range(share.start // MASKS_DRAWN, -(-share.stop // MASKS_DRAWN)):
            first = block * MASKS_DRAWN
            key = (self.seed * 1_000_003 + step + block * 0x9E3779B97F4A7C15) % 2**63
            generator = torch.Generator().manual_seed(key)
            rows = min(MASKS_DRAWN, self.batch - first)
            seen, hidden = split_places(self.mask.draw(rows, self.sizes, generator))
            asked = max(1, round(hidden.shape[1] * self.sizes.decoded))
            if asked < hidden.shape[1]:
                order = torch.rand(hidden.shape, generator=generator).argsort(dim=1)[:, :asked]
                hidden = hidden.gather(1, order)
            own = slice(max(0, share.start - first), share.stop - first)
            parts.append((seen[own], hidden[own]))
        return torch.cat([seen for seen, _ in parts]), torch.cat([hidden for _, hidden in parts])

    def _changes(self, step: int, share: slice) -> Changes:
        numbers = sample_numbers(step, share, batch=self.batch, rows=self.masks)
        draws = np.stack([uniform(numbers, self.seed, key) for key in range(13, 17)], axis=1)
        mixed = numbers if self.augment.mix else numbers[:0]
        others = self.stream.read((uniform(mixed, self.seed, 17) * len(self.stream)).astype(np.int64))
        return Changes(torch.from_numpy(others), torch.from_numpy(draws).float())

    def _views(self, clips: Tensor) -> Tensor:
        """Repeat each clip once a mask; partners stay neighbours: a b a b of one song, then those of the next."""
        if self.masks == 1:
            return clips
        together = 2 if self.pairs.weight else 1
        songs = clips.reshape(-1, 1, together, *clips.shape[1:])
        return songs.expand(-1, self.masks, *songs.shape[2:]).flatten(0, 2)

    def _places(self, step: int, share: slice) -> tuple[Ints, Ints]:
        """Return tracks and first frames; with the clip-level term, clips 2i and 2i + 1 are partners."""
        rows = self.masks * (2 if self.pairs.weight else 1)
        samples = sample_numbers(step, share, batch=self.batch, rows=rows)
        if not self.pairs.weight:
            return self.stream.places(samples)
        tracks, starts = self.stream.places(samples)
        second = self.stream.partners(
            samples,
            tracks,
            starts,
            nearest=self.corpus.mel.frames_of(self.pairs.nearest_seconds or 0.0),
            farthest=self.corpus.mel.frames_of(self.pairs.farthest_seconds),
        )
        return np.repeat(tracks, 2), np.stack([starts, second], axis=1).reshape(-1)

    def _heard(self, batch: MaskedBatch) -> Tensor:
        """Return what the model hears of a batch: its clips, changed and normalised, once for each mask."""
        clips = batch.clips
        if batch.changes is not None:
            clips = augment_clips(clips, batch.changes.others, batch.changes.draws, self.augment)
        return self._views(normalise_clips(clips, self.corpus.std))

    def compare_parts(self, module: nn.Module, parts: list[MaskedBatch]) -> list[MaskedBatch]:
        """Compare the clips of all parts of a step, so that `loss` can take one part at a time.

        Returns:
            The parts, each with the gradient of the clip-level term by its unit vectors, and the term's value.

        Source: Gao et al. 2021, "Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup".
        """
        if not self.pairs.weight:
            return parts
        with torch.no_grad():  # one patch is rebuilt, since the whole network must be called
            outs = [module(self._heard(part), part.seen, part.hidden[:, :1]) for part in parts]
        projected = torch.cat([out.projected for out in outs]).requires_grad_()
        pairs = self._pair_loss(projected, torch.cat([part.tracks for part in parts]))
        (pull,) = torch.autograd.grad(pairs, projected)
        # The loop averages over the parts; of this term, each part has its share of a sum.
        pulls = (pull * len(parts)).chunk(len(parts))
        return [
            part._replace(compared=Compared(one, pairs.detach()))
            for part, one in zip(parts, pulls, strict=True)
        ]

    def _pair_loss(self, projected: Tensor, tracks: Tensor) -> Tensor:
        """Return the clip-level term over the clips of all processes, so that their number changes nothing."""
        return pair_loss(gather_rows(projected), gather_rows(tracks), self.pairs.temperature)

    def loss(self, module: nn.Module, batch: MaskedBatch) -> dict[str, Tensor]:
        """Return the reconstruction loss, and with the clip-level term the weighted sum and both parts."""
        out = module(self._heard(batch), batch.seen, batch.hidden)
        if not self.pairs.weight:
            return {"loss": out.loss}
        if batch.compared is not None:
            pulled = (out.projected * batch.compared.pull).sum()
            pairs = batch.compared.value + pulled - pulled.detach()
        else:
            pairs = self._pair_loss(out.projected, batch.tracks)
        return {"loss": out.loss + self.pairs.weight * pairs, "rebuilding": out.loss, "pairs": pairs}

    def evaluate(self, module: nn.Module, step: int) -> dict[str, float]:
        """Return the loss on masked patches of held-out tracks, beside two guesses, and draw one clip."""
        assert isinstance(module, Autoencoder)
        device = next(module.parameters()).device
        error, count = 0.0, 0
        for clips, mask in zip(torch.split(self.judged, 64), torch.split(self.judged_mask, 64), strict=True):
            normal = normalise_clips(clips.to(device), self.corpus.std)
            seen, hidden = (places.to(device) for places in split_places(mask))
            passes = math.ceil(1 / self.sizes.decoded)
            for number in range(passes):
                asked = hidden[:, number::passes]
                error += float(module(normal, seen, asked).loss) * asked.numel()
                count += asked.numel()
        self._draw(module, step)
        return {"held_out_loss": error / count, **self.baselines}

    def _draw(self, module: Autoencoder, step: int) -> None:
        number = len(self.judged) // 2
        clip, mask = self.judged[number : number + 1].float(), self.judged_mask[number : number + 1]
        level = clip.mean()
        device = next(module.parameters()).device
        normal = normalise_clips(clip, self.corpus.std).to(device)
        rebuilt = module.rebuild(normal, mask.to(device))[0].cpu() * self.corpus.std + level
        hidden = (
            mask[0].repeat_interleave(self.sizes.patch_frames, 0).repeat_interleave(self.sizes.patch_mels, 1)
        )
        if self.pictures is None:
            return
        draw_reconstruction(
            self.pictures / f"step-{step:08d}.png",
            clip[0].numpy(),
            clip[0].masked_fill(hidden, float("nan")).numpy(),
            rebuilt.numpy(),
            mel=self.corpus.mel,
            title=f"step {step}, a held-out track",
        )
