"""Settings that every training verb shares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from audiomae.checks import require, require_all
from audiomae.errors import ConfigError

__all__ = ["Length", "LoopSettings", "OptimizerName"]

OptimizerName = Literal["adamw", "muon"]


@dataclass(frozen=True)
class Length:
    """How long to train: steps, or wall-clock minutes that the learning rate then follows; one of the two."""

    steps: int | None = None
    minutes: float | None = None

    def __post_init__(self) -> None:
        """Refuse none, both, or nothing to do."""
        if (self.steps is None) == (self.minutes is None):
            raise ConfigError("give either --steps or --minutes, one of the two, e.g. --minutes 30.")
        if self.steps is not None:
            require("steps", self.steps, least=1)
        if self.minutes is not None:
            require("minutes", self.minutes, above=0)

    def progress(self, step: int, elapsed: float) -> float:
        """Return the share that is done after a number of steps and of seconds, in [0, 1]."""
        if self.steps is not None:
            return min(1.0, step / self.steps)
        return min(1.0, elapsed / (60.0 * (self.minutes or 1.0)))


@dataclass(frozen=True)
class LoopSettings:
    """How long, how fast and how carefully to train.

    Attributes:
        batch: Samples in one optimiser step, over all processes together.
        accumulate: Parts that a process cuts its share of the batch into, to save memory.
        optimizer: adamw, or muon for the matrices of blocks that repeat (AdamW for the rest), at the same rate.
        learning_rate: Peak learning rate.
        warmup: Share of the training in which the learning rate rises, in [0, 1).
        weight_decay: Decay of matrices; biases and norms are spared.
        beta2: AdamW's second-moment decay.
        clip_norm: Largest gradient norm; longer gradients are scaled down to it. 0 switches it off.
        precision: Arithmetic of the forward pass, fp32, bf16 or fp16 (no is an older word for fp32); losses and norms
            stay in float32.
        compile: Whether to compile the network (torch.compile); the first steps then take a minute or more.
        sharding: launcher for what accelerate's launcher says (every process holds the whole model, unless it says
            FSDP), or fsdp to keep weights, gradients and moments in parts on the processes, for models that one GPU
            cannot hold.
        seed: Key of first weights and of all that is drawn.
        threads: CPU threads of a process; 0 takes the cores there are, shared between the processes here.
        log_every: Steps between lines of metrics.
        evaluate_every: Steps between looks at held-out data.
        checkpoint_every: Steps between checkpoints; with minutes, also at least one every 5 minutes.
    """

    batch: int = 64
    accumulate: int = 1
    optimizer: OptimizerName = "adamw"
    learning_rate: float = 1e-3
    warmup: float = 0.05
    weight_decay: float = 0.05
    beta2: float = 0.95
    clip_norm: float = 1.0
    precision: Literal["fp32", "bf16", "fp16", "no"] = "fp32"
    compile: bool = False
    sharding: Literal["launcher", "fsdp"] = "launcher"
    seed: int = 0
    threads: int = 0
    log_every: int = 20
    evaluate_every: int = 500
    checkpoint_every: int = 500

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        if self.precision == "no":  # as configs of runs wrote it down
            object.__setattr__(self, "precision", "fp32")
        whole = ("batch", "accumulate", "log_every", "evaluate_every", "checkpoint_every")
        require_all(self, *whole, prefix="train.", least=1)
        require("train.learning_rate", self.learning_rate, above=0)
        require_all(self, "warmup", "beta2", prefix="train.", least=0, below=1)
        require_all(self, "weight_decay", "clip_norm", "threads", prefix="train.", least=0)
        if self.batch % self.accumulate:
            raise ConfigError(f"train.batch {self.batch} cannot be cut into {self.accumulate} equal parts.")
