"""What a training step takes of each GPU's memory: arithmetic alone, on one GPU, under DDP and under FSDP.

A network is a row of pieces in the order of its forward pass. Going forward, every piece keeps what its backward
needs; going backward, that is freed piece by piece while gradients appear. The peak is the largest sum on that way,
so it lies below the plain sum of all columns.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from audiomae.errors import ConfigError

__all__ = [
    "ARITHMETICS",
    "Arithmetic",
    "Arrangement",
    "Need",
    "Network",
    "Piece",
    "block_piece",
    "least_machines",
    "need_of",
]

Arrangement = Literal["one", "ddp", "fsdp"]

STATISTICS = 4 * 4
"""Bytes a token that the two layer norms of a block keep: mean and deviation in float32."""

PAIR_BYTES = 13
"""Bytes that the clip-level term takes for each pair of clips of the global batch: scores twice, softmax, a mask."""


@dataclass(frozen=True)
class Arithmetic:
    """Bytes of a parameter in each of its forms."""

    weight: int
    """The parameter itself."""
    gradient: int
    """Its gradient."""
    master: int
    """A float32 copy that the optimiser updates, where the weight has fewer bytes."""
    moments: int
    """AdamW's two averages, in float32."""
    compute: int
    """A value in matrix products: activations, and the copies of matrices that autocast makes where it is less."""


ARITHMETICS = {
    "fp32": Arithmetic(weight=4, gradient=4, master=0, moments=8, compute=4),
    "bf16": Arithmetic(weight=4, gradient=4, master=0, moments=8, compute=2),
    "bf16-weights": Arithmetic(weight=2, gradient=2, master=4, moments=8, compute=2),
}
"""float32; float32 weights with matrix products in bfloat16 (autocast); weights of 2 bytes with a float32 master."""


@dataclass(frozen=True)
class Piece:
    """A part of the network whose backward runs in one go."""

    name: str
    parameters: int
    matrices: int = 0
    """Of the parameters, those that autocast copies and keeps for backward."""
    saved: int = 0
    """Bytes a clip that are kept for backward."""
    working: int = 0
    """Bytes a clip that its backward takes beside."""
    alone: bool = False
    """Whether FSDP gathers it by itself; all others are gathered together and stay."""
    turned: int = 0
    """Of the parameters, those that Muon moves, which keeps one average of each where AdamW keeps two."""


@dataclass(frozen=True)
class Network:
    """Pieces in the order of the forward pass."""

    pieces: tuple[Piece, ...]
    inputs: int = 0
    """Bytes a clip of the batch itself, as long as the step lasts."""
    unfolded: int = 0
    """Bytes a clip that only the forward pass holds."""

    @property
    def parameters(self) -> int:
        """Parameters of the whole."""
        return sum(piece.parameters for piece in self.pieces)

    def states(self, arithmetic: Arithmetic) -> int:
        """Return the bytes of weights, gradients and optimiser: all that outlives a step's forward pass."""
        return self.parameters * (arithmetic.weight + arithmetic.gradient) + self.optimizer(arithmetic)

    def optimizer(self, arithmetic: Arithmetic) -> int:
        """Return the bytes of all that the optimiser keeps."""
        turned = sum(piece.turned for piece in self.pieces)
        return self.parameters * (arithmetic.master + arithmetic.moments) - turned * arithmetic.moments // 2

    @property
    def saved(self) -> int:
        """Bytes a clip that are kept for backward."""
        return sum(piece.saved for piece in self.pieces)


@dataclass(frozen=True)
class Need:
    """Bytes on each GPU; `total` is the peak of a step, not the sum of the others."""

    parameters: float
    gradients: float
    optimizer: float
    activations: float
    buffers: float
    """Copies of weights in 16 bits, DDP's buckets, FSDP's gathered pieces."""
    total: float

    def fits(self, memory: float) -> bool:
        """Return whether it fits into so many bytes."""
        return self.total <= memory


def block_piece(
    name: str,
    *,
    width: int,
    heads: int,
    tokens: int,
    arithmetic: Arithmetic,
    parameters: int,
    matrices: int,
    turned: int = 0,
) -> Piece:
    """Return one pre-norm transformer block under fused attention.

    It keeps the residual stream in float32 twice; in the arithmetic of matrix products both normed inputs (2 widths),
    queries, keys and values (3), the mixed values (1) and the perceptron before and after its GELU (8); and a float32
    for each head and token. No matrix of attention weights is kept. Backward takes the gradient of the residual
    stream and of the perceptron's inside at once.
    """
    compute = arithmetic.compute
    saved = tokens * (width * (2 * 4 + 14 * compute) + 4 * heads + STATISTICS)
    working = tokens * width * (4 + 5 * compute)
    copied = matrices if compute < arithmetic.weight else 0
    return Piece(name, parameters, copied, saved, working, alone=True, turned=turned)


def need_of(
    network: Network,
    arrangement: Arrangement,
    arithmetic: Arithmetic,
    *,
    gpus: int,
    batch: int,
    accumulate: int = 1,
    compared: int = 0,
    gather: bool = True,
    bucket_views: bool = False,
) -> Need:
    """Return what each GPU holds.

    Args:
        network: The pieces.
        arrangement: All on one GPU, whole copies on all, or shards over all.
        arithmetic: Bytes of a parameter.
        gpus: GPUs over all machines.
        batch: Clips in an optimiser step, over all GPUs.
        accumulate: Parts that each GPU cuts its clips into.
        compared: Clips that the clip-level term compares with each other in one go; 0 leaves it out.
        gather: Whether FSDP's gathered pieces are counted; not where the pieces are unknown.
        bucket_views: Whether DDP's gradients are views of its buckets instead of copies.

    Raises:
        ConfigError: If there is less than one clip for each part.
    """
    ranks = 1 if arrangement == "one" else gpus
    clips = batch / (ranks * accumulate)
    if clips < 1:
        raise ConfigError(
            f"a batch of {batch} cannot be shared by {ranks} GPUs in {accumulate} parts each; it needs at least "
            f"{ranks * accumulate} clips. Use a larger --batch."
        )
    shards = gpus if arrangement == "fsdp" else 1
    every = network.parameters
    parameters = every * arithmetic.weight / shards
    optimizer = network.optimizer(arithmetic) / shards
    gradients = every * arithmetic.gradient / shards
    pairs = PAIR_BYTES * compared**2
    walk = _Walk(network, arithmetic, clips)
    if arrangement == "fsdp":
        buffers, peak = walk.sharded(shards, pairs) if gather else (0.0, gradients)
    else:
        buffers, peak = walk.whole(pairs)
        if arrangement == "ddp" and gpus > 1:
            buckets = 0 if bucket_views else every * arithmetic.gradient
            buffers, peak = buffers + buckets, peak + buckets
            if bucket_views:
                peak = max(peak, walk.forward(pairs) + buffers + gradients)
    activations = clips * (network.saved + network.inputs + network.unfolded) + pairs
    return Need(
        parameters, gradients, optimizer, activations, buffers, parameters + optimizer + max(peak, gradients)
    )


class _Walk:
    """The largest sum on the way forward and back, without the states that are always there."""

    def __init__(self, network: Network, arithmetic: Arithmetic, clips: float) -> None:
        self.network, self.arithmetic, self.clips = network, arithmetic, clips

    def forward(self, pairs: float) -> float:
        """Return the activations at the end of the forward pass."""
        network = self.network
        return self.clips * (network.saved + network.inputs + network.unfolded) + pairs

    def _backward(self, pairs: float, fixed: Callable[[int], float]) -> float:
        """Return the largest sum of what is still kept, what is worked with and `fixed` of the piece's place."""
        kept, largest = self.clips * (self.network.saved + self.network.inputs) + pairs, 0.0
        for place in reversed(range(len(self.network.pieces))):
            piece = self.network.pieces[place]
            largest = max(largest, kept + self.clips * piece.working + fixed(place))
            kept -= self.clips * piece.saved + (pairs if place == len(self.network.pieces) - 1 else 0)
        return largest

    def whole(self, pairs: float) -> tuple[float, float]:
        """Return buffers and peak where a GPU holds all weights."""
        pieces, each = self.network.pieces, self.arithmetic
        copied = [piece.matrices * each.compute for piece in pieces]

        def fixed(place: int) -> float:
            gradients = sum(piece.parameters for piece in pieces[place:]) * each.gradient
            return gradients + sum(copied[: place + 1])

        buffers = float(sum(copied))
        return buffers, max(self.forward(pairs) + buffers, self._backward(pairs, fixed))

    def sharded(self, shards: int, pairs: float) -> tuple[float, float]:
        """Return buffers and peak where each GPU holds its share and gathers a piece, and the next, at a time."""
        pieces, each = self.network.pieces, self.arithmetic
        largest = max((piece.parameters for piece in pieces if piece.alone), default=0)
        together = sum(piece.parameters for piece in pieces if not piece.alone)
        gathered = (together + 2 * largest) * each.compute
        reduced = 2 * largest * each.compute  # a piece's whole gradient, and its copy that is being sent

        def fixed(place: int) -> float:
            done = pieces[place:]
            own = sum(piece.parameters for piece in done) * each.gradient / shards
            waiting = sum(piece.parameters for piece in done if not piece.alone) * each.compute
            return (
                own + gathered + (reduced if pieces[place].alone else 0) + waiting * (2 if place == 0 else 1)
            )

        return float(gathered + reduced), max(
            self.forward(pairs) + gathered, self._backward(pairs, fixed) if pieces else 0.0
        )


def least_machines(bytes_needed: float, gpus: int, memory: float) -> int:
    """Return how many machines of `gpus` times `memory` bytes hold so many bytes, spread evenly.

    Example:
        >>> least_machines(1.8e12 * 2, 8, 141e9)
        4
    """
    return max(1, math.ceil(bytes_needed / (gpus * memory)))
