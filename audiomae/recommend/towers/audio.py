"""Towers trained through the audio encoder: its last blocks, or all of it, from a trained model or from scratch.

At each step one random clip of each track played goes through the encoder. Histories read cached vectors; those
just computed overwrite the cache (a memory bank), so nothing is encoded twice for them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from audiomae.checks import require
from audiomae.corpus.clips import read_clips, uniform
from audiomae.corpus.corpus import Corpus
from audiomae.errors import ConfigError, DataError
from audiomae.listening.content import Content
from audiomae.model.embedder import Embedder, load, save, untrained
from audiomae.model.level import normalise_clips
from audiomae.model.pooling import pool_tokens
from audiomae.recommend.towers.batch import AudioClips, ItemInputs, TowerBatch, TowerVectors, UserInputs
from audiomae.recommend.towers.network import Towers
from audiomae.recommend.towers.task import TowerTask
from audiomae.vectors.embed import embed_tracks
from audiomae.vectors.job import VectorsJob
from audiomae.vectors.vectors import Vectors

__all__ = ["AudioSettings", "AudioTask", "load_encoder", "save_encoder"]

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class AudioSettings:
    """Training of the audio encoder together with the towers.

    Attributes:
        corpus: Folder made by `audiomae prepare` with the tracks of the content; none trains on cached vectors.
        model: Run folder of the encoder, or the name of a model in the package (tiny); its sizes are taken even
            where it starts from scratch.
        start: model, its trained weights; scratch, random ones, to show what pre-training is worth.
        blocks: Last blocks of the encoder that are trained; 0 trains all of it.
        hop_seconds: Distance between the clips that a track's final vector is the mean of; one clip of the model by
            default, up to the next tenth of a second.
    """

    corpus: str | None = None
    model: str | None = None
    start: Literal["model", "scratch"] = "model"
    blocks: int = 2
    hop_seconds: float | None = None

    def __post_init__(self) -> None:
        """Refuse values that do not fit together."""
        if (self.corpus is None) != (self.model is None):
            raise ConfigError(
                "the audio encoder takes both: give --audio.corpus corpus/ and --audio.model run/."
            )
        require("audio.blocks", self.blocks, least=0)
        if self.hop_seconds is not None:
            require("audio.hop_seconds", self.hop_seconds, above=0, unit="seconds")
        if self.start == "scratch" and self.blocks:
            raise ConfigError(
                f"audio.start is scratch, but all blocks below the last {self.blocks} would stay random. Use "
                "--audio.blocks 0."
            )

    @property
    def on(self) -> bool:
        """Whether the encoder is trained."""
        return self.corpus is not None


class AudioEncoder:
    """An encoder, and where the clips of the content's tracks lie.

    Args:
        embedder: The encoder, its layer and pooling.
        corpus: Log-mels.
        content: Tracks, in the order of their rows.
        settings: What is trained.

    Raises:
        DataError: If a track of the content is not in the corpus, or shorter than a clip.
    """

    def __init__(self, embedder: Embedder, corpus: Corpus, content: Content, settings: AudioSettings) -> None:
        self.embedder, self.corpus, self.content, self.settings = embedder, corpus, content, settings
        places = {name: place for place, name in enumerate(corpus.track_ids)}
        if absent := [name for name in content.track_ids if name not in places]:
            raise DataError(
                f"{corpus.folder}: {len(absent)} of {len(content)} tracks of the content are not in the corpus, "
                f"such as {absent[0]!r}. Name the corpus that the vectors were exported from."
            )
        self.places = np.array([places[name] for name in content.track_ids], np.int64)
        self.clip_frames = embedder.config.clip_frames
        short = int(corpus.frames[self.places].min())
        if short < self.clip_frames:
            found, needed = corpus.mel.seconds_of(short), embedder.clip_seconds
            raise DataError(
                f"{corpus.folder}: the shortest track has {found:.2f} s; a clip of the model takes {needed:.2f} s. "
                f"Prepare longer songs (--shortest_seconds {embedder.hop_seconds:g}) and export them again."
            )

    @property
    def hop_frames(self) -> int:
        """Distance between the clips of a final vector."""
        return max(1, self.corpus.mel.frames_of(self.settings.hop_seconds or self.embedder.hop_seconds))

    def freeze(self) -> None:
        """Let only the blocks that are to be trained learn."""
        network, layer = self.embedder.autoencoder, self.embedder.layer
        count = self.settings.blocks or layer
        if count > layer:
            raise ConfigError(
                f"audio.blocks is {count}, but vectors are read from block {layer}. Use {layer} or less."
            )
        network.requires_grad_(False)
        network.encoder.norm.requires_grad_(True)
        for number in range(layer - count, layer):
            network.encoder.blocks[number].requires_grad_(True)
        if not self.settings.blocks:
            network.encoder.embed.requires_grad_(True)

    def first_vectors(self) -> Floats:
        """Return a vector a track from the encoder as it is: the content's own, where this encoder made them."""
        wanted = {"model_fingerprint": self.embedder.fingerprint, "layer": self.embedder.layer}
        wanted |= {"pool": self.embedder.pool, "whiten": 0}
        if self.content.path.is_dir():
            meta = Vectors.open(self.content.path).meta
            if {name: meta[name] for name in wanted} == wanted:
                return self.content.vectors
        out = np.empty((len(self.places), self.embedder.dim), np.float32)
        for row, place in enumerate(self.places.tolist()):
            tracks = range(place, place + 1)
            made = embed_tracks(self.embedder, self.corpus, tracks, hop_frames=self.hop_frames, batch=64)
            out[row] = made[0].vectors.mean(axis=0)
        return out

    def read(self, rows: NDArray[np.int64], *keys: int) -> Tensor:
        """Return one clip of each track, (tracks, frames, mels) float16, its start a function of row and keys."""
        places = self.places[rows]
        room = self.corpus.frames[places] - self.clip_frames + 1
        starts = np.minimum((uniform(rows, *keys) * room).astype(np.int64), room - 1)
        return torch.from_numpy(read_clips(self.corpus, places, starts, self.clip_frames))


class AudioTowers(nn.Module):
    """Encoder and towers as one module, with the memory bank.

    Args:
        encoder: What turns clips into vectors.
        towers: What they are trained for.
        bank: First vectors of all tracks, (tracks, values).
    """

    bank: Tensor

    def __init__(self, encoder: AudioEncoder, towers: Towers, bank: Tensor) -> None:
        super().__init__()
        encoder.freeze()
        self.network, self.towers = encoder.embedder.autoencoder, towers
        self.std, self.layer, self.pool = encoder.corpus.std, encoder.embedder.layer, encoder.embedder.pool
        self.register_buffer("bank", bank.clone())

    def forward(self, users: UserInputs, clips: AudioClips, ids: Tensor) -> tuple[TowerVectors, Tensor]:
        """Return what a loss compares, and the vector of each item's track, (m, values)."""
        tokens = self.network.encode(normalise_clips(clips.mels, self.std), layer=self.layer)
        content = pool_tokens(tokens, self.pool)[clips.place]
        return self.towers(users, ItemInputs(content, ids)), content


class AudioTask(TowerTask):
    """The task of `TowerTask`, with a clip of each track played in the place of its cached vector.

    Args:
        encoder: The audio encoder.
        towers: The network.
        content: First vectors, (tracks, values).
        *given: As in `TowerTask`; negatives come from the batch.
        **settings: As in `TowerTask`.
    """

    def __init__(
        self, encoder: AudioEncoder, towers: Towers, content: Tensor, *given: Any, **settings: Any
    ) -> None:
        super().__init__(towers, content, *given, **settings)
        self.encoder = encoder
        self.audio = AudioTowers(encoder, towers, content)
        self.module = self.audio

    def units(self) -> Sequence[nn.Module]:
        """Return the blocks of the audio encoder."""
        return self.audio.network.blocks

    def draw(self, step: int, share: slice) -> TowerBatch:
        """Return what `TowerTask.draw` does, and a clip of each track of this share."""
        drawn = super().draw(step, share)
        tracks, place = np.unique(drawn.items.tracks.numpy(), return_inverse=True)
        mels = self.encoder.read(tracks, self.seed, step)
        return drawn._replace(audio=AudioClips(mels, torch.from_numpy(place.reshape(-1))))

    def loss(self, module: nn.Module, batch: TowerBatch) -> dict[str, Tensor]:
        """Return the loss, and keep the vectors just computed."""
        self.content = self.audio.bank
        vectors, content = module(self.user_inputs(batch.users), batch.audio, batch.items.ids)
        with torch.no_grad():
            rows = self.gather(batch.items.tracks)
            # Of a track that several processes drew, the last one's clip stays, on all of them.
            last = torch.full((len(self.audio.bank),), -1, device=rows.device)
            last.scatter_reduce_(0, rows, torch.arange(len(rows), device=rows.device), "amax")
            kept = last[last >= 0]
            self.audio.bank[rows[kept]] = self.gather(content.detach())[kept].to(self.audio.bank.dtype)
        return self.compare(vectors, batch)

    def evaluate(self, module: nn.Module, step: int) -> dict[str, float]:  # noqa: ARG002
        """Judge the towers on the validation slice, with the memory bank as content."""
        assert isinstance(module, AudioTowers)
        return self.judge(module.towers, module.bank)


def load_encoder(settings: AudioSettings, content: Content, seed: int) -> AudioEncoder:
    """Return the encoder that training starts from.

    Raises:
        FingerprintError: If model and corpus were made with other mel settings.
    """
    assert settings.corpus is not None
    assert settings.model is not None
    corpus, embedder = Corpus.open(settings.corpus), load(settings.model, device="cpu")
    if corpus.mel != embedder.mel:
        raise DataError(
            f"{settings.corpus}: its log-mels were made with other settings than {settings.model} takes. Prepare "
            "the songs again, or name another model."
        )
    if settings.start == "scratch":
        embedder = untrained(embedder, seed=seed)
    return AudioEncoder(embedder, corpus, content, settings)


def save_encoder(task: AudioTask, content: Content, out: Path) -> Content:
    """Write the trained encoder to `out/encoder`, the vectors of all tracks to `out/vectors`; return the new content.

    Both are what pretrain and export would leave: songs added later go through them.
    """
    encoder, folder = task.encoder, out / "encoder"
    network = task.audio.network.cpu().eval().requires_grad_(False)
    about = {
        "corpus_fingerprint": encoder.corpus.fingerprint,
        "trained": dataclasses.asdict(encoder.settings),
    }
    save(dataclasses.replace(encoder.embedder, autoencoder=network), folder, about)
    VectorsJob(
        load(folder, device="cpu"),
        encoder.corpus,
        out / "vectors",
        folder,
        whiten=0,
        whiten_kind="pca",
        whitening=None,
        hop_seconds=encoder.settings.hop_seconds,
        batch=64,
        precision="fp32",
        part_clips=2048,
        overwrite=False,
    ).run()
    made = Content.open(out / "vectors")
    rows = {name: row for row, name in enumerate(made.track_ids)}
    vectors = made.vectors[[rows[name] for name in content.track_ids]]
    same = made.fingerprint, made.model_fingerprint
    return dataclasses.replace(
        content, path=made.path, vectors=vectors, fingerprint=same[0], model_fingerprint=same[1]
    )
