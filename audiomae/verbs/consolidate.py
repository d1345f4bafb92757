"""run folder → model: one file of weights from a checkpoint, whole or in shards, of a run that has not finished."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audiomae.checks import require
from audiomae.corpus.corpus import Corpus
from audiomae.disk.files import locked, read_json
from audiomae.errors import ConfigError, FingerprintError, MissingError
from audiomae.model.autoencoder import Autoencoder
from audiomae.model.embedder import save
from audiomae.pretraining.trained import embedder_of, sizes_of_run
from audiomae.progress import SILENT, Progress
from audiomae.training.checkpoint import checkpoint_weights, latest_checkpoint

__all__ = ["ConsolidateResult", "ConsolidateSettings", "consolidate"]


@dataclass(frozen=True)
class ConsolidateSettings:
    """Settings of `audiomae consolidate`.

    Attributes:
        run: Folder of a run, finished or not.
        corpus: Corpus that the run trains on; its mel settings and statistics go into the model.
        out: Folder for the model.
        step: Checkpoint to take; the newest without it.
    """

    run: str
    corpus: str
    out: str
    step: int | None = None

    def __post_init__(self) -> None:
        """Refuse to write into the run itself."""
        if Path(self.out).resolve() == Path(self.run).resolve():
            raise ConfigError(
                f"out {self.out} is the run itself, which writes its own model. Name another folder."
            )
        if self.step is not None:
            require("step", self.step, least=0)


@dataclass(frozen=True)
class ConsolidateResult:
    """What `consolidate` wrote.

    Attributes:
        model: Folder of the model.
        checkpoint: Checkpoint that it was made from.
        steps: Steps that the run had made.
        fingerprint: Fingerprint of the model.
    """

    model: Path
    checkpoint: Path
    steps: int
    fingerprint: str


def consolidate(settings: ConsolidateSettings, *, progress: Progress = SILENT) -> ConsolidateResult:  # noqa: ARG001
    """Write a model folder that `audiomae.load` and every verb reads.

    Raises:
        MissingError: If there is no such checkpoint, or a part of it is missing.
        FingerprintError: If the corpus is not the one that the run trains on.
    """
    run, out = Path(settings.run), Path(settings.out)
    made_with: dict[str, Any] = read_json(run / "run.json", format="audiomae-run/1")["settings"]
    corpus = Corpus.open(settings.corpus)
    if corpus.fingerprint != (trained_on := made_with["corpus_fingerprint"]):
        raise FingerprintError(
            f"{settings.corpus}: is corpus {corpus.fingerprint}, but {run} trains on {trained_on}. Name that corpus."
        )
    path = _checkpoint(run / "checkpoints", settings.step)
    sizes = sizes_of_run(made_with)
    shapes = {name: value.shape for name, value in Autoencoder(sizes).state_dict().items()}
    weights = checkpoint_weights(path, shapes)
    embedder = embedder_of(sizes, weights, corpus, layer=made_with["layer"], pool=made_with["pool"])
    steps = int(path.name.removeprefix("step-"))
    with locked(out):
        fingerprint = save(embedder, out, {"corpus_fingerprint": corpus.fingerprint, "steps": steps})
    return ConsolidateResult(out, path, steps, fingerprint)


def _checkpoint(folder: Path, step: int | None) -> Path:
    path = latest_checkpoint(folder) if step is None else folder / f"step-{step:08d}"
    if path is None or not (path / "state.json").exists():
        there = ", ".join(sorted(found.name for found in folder.glob("step-*"))) or "none"
        raise MissingError(f"{path or folder}: no such checkpoint; there are: {there}.")
    return path
