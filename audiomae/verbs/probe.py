"""model + labels → how much its frozen vectors tell, beside mel statistics and the untrained encoder."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from audiomae.audio.decode import decoder_versions
from audiomae.cautions import caution_of
from audiomae.checks import require
from audiomae.disk.files import fingerprint_of, write_atomically, write_json
from audiomae.model.embedder import Embedder, load, untrained
from audiomae.model.pooling import Pool
from audiomae.model.whitening import Whitening
from audiomae.probing.judge import MODEL, ProbeRules, TaskResult, judge
from audiomae.probing.labels import ProbeTask, read_tasks
from audiomae.probing.vectors import vectors_of_files
from audiomae.progress import SILENT, Progress

__all__ = ["ProbeResult", "ProbeSettings", "probe"]

FORMAT = "audiomae-probe/1"


@dataclass(frozen=True)
class ProbeSettings:
    """Settings of `audiomae probe`.

    Attributes:
        model: Run folder of a model, or the name of one in the package (tiny).
        labels: CSV with the columns path (relative to it), task and label, and if there fold, track, group.
        tasks: Tasks to ask; all of the file by default. One with `track` in its name is same-track retrieval.
        where: Rows to keep, such as {source: [deb:a, deb:b]}; all by default.
        layer: Encoder block to read vectors from, 1 for the first; what the model recommends by default.
        pool: How the tokens of a clip become one vector; what the model recommends by default.
        whitening: Whitening file to apply to the model's vectors, as fitted by `audiomae export --whiten`.
        out: JSON file for scores and protocol; the table alone by default.
        vectors_out: NPZ file for the model's vectors: path (file names) and vec (clips, d).
        folds: Folds to draw where the file gives none.
        inverse_penalty: C of the logistic regression.
        neighbours: Neighbours that vote in kNN.
        whiten: Dimensions of the whitening in whitened retrieval, fitted on the judged clips without labels; at
            most a third of their number.
        bootstrap: Draws of tracks for the 95 % intervals; 0 for none.
        seed: Key of folds, draws and the untrained encoder.
        threads: CPU threads; 0 for all cores.
        device: Where to compute, such as cpu or cuda:1; auto takes a GPU if there is one.
    """

    model: str
    labels: str
    tasks: list[str] = field(default_factory=list)
    where: dict[str, list[str]] = field(default_factory=dict)
    layer: int | None = None
    pool: Pool | None = None
    whitening: str | None = None
    out: str | None = None
    vectors_out: str | None = None
    folds: int = 5
    inverse_penalty: float = 0.01
    neighbours: int = 5
    whiten: int = 128
    bootstrap: int = 1000
    seed: int = 0
    threads: int = 0
    device: str = "auto"

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        for name, least in (("folds", 2), ("neighbours", 1), ("whiten", 1), ("bootstrap", 0), ("threads", 0)):
            require(name, getattr(self, name), least=least)
        require("inverse_penalty", self.inverse_penalty, above=0)

    @property
    def rules(self) -> ProbeRules:
        """How questions are asked."""
        return ProbeRules(**{name: getattr(self, name) for name in ProbeRules.__dataclass_fields__})


@dataclass(frozen=True)
class ProbeResult:
    """What the vectors told.

    Attributes:
        tasks: Name of the task → its scores.
        protocol: What makes the scores repeatable: model, labels, measures, seed, versions.
        cautions: A sentence for each task whose scores decide nothing, as too few groups (tracks) were judged.
    """

    tasks: dict[str, TaskResult]
    protocol: dict[str, Any]
    cautions: list[str] = field(default_factory=list)


def probe(settings: ProbeSettings, *, progress: Progress = SILENT) -> ProbeResult:
    """Score the model's vectors, and those of mel statistics and of the untrained encoder.

    Raises:
        MissingError: If the labels or an audio file they name are not there.
        DataError: If the labels cannot be used.
    """
    tasks = read_tasks(settings.labels, settings.tasks, settings.where)
    if settings.threads:
        torch.set_num_threads(settings.threads)
    whitening = None if settings.whitening is None else Whitening.load(settings.whitening)
    trained = load(settings.model, device=settings.device)
    trained = trained.with_pooling(layer=settings.layer, pool=settings.pool, whiten=whitening)
    embedders = {MODEL: trained, "untrained encoder": untrained(trained, seed=settings.seed)}
    paths = list(dict.fromkeys(path for task in tasks for path in task.paths))
    with progress.stage("embedding", total=len(paths), unit="files") as stage:
        vectors = vectors_of_files(paths, embedders, on_files=stage.advance)
    if settings.vectors_out:
        _write_vectors(Path(settings.vectors_out), paths, vectors[MODEL])
    row_of = {path: row for row, path in enumerate(paths)}
    results = {}
    with progress.stage("judging", total=len(tasks), unit="tasks") as stage:
        for task in tasks:
            rows = [row_of[path] for path in task.paths]
            results[task.name] = judge(
                task, {name: values[rows] for name, values in vectors.items()}, settings.rules
            )
            stage.advance()
    dims = {name: int(values.shape[1]) for name, values in vectors.items()}
    told = [
        caution_of(found.groups, "groups (tracks)", figures=f"the scores of {name}")
        for name, found in results.items()
    ]
    protocol = _protocol(settings, trained, whitening, tasks, dims)
    result = ProbeResult(results, protocol, [line for line in told if line])
    if settings.out:
        said = {name: found.as_json() for name, found in results.items()}
        about = {"format": FORMAT, "protocol": result.protocol, "cautions": result.cautions}
        write_json(settings.out, {**about, "tasks": said})
    return result


def _protocol(
    settings: ProbeSettings,
    trained: Embedder,
    whitening: Whitening | None,
    tasks: Sequence[ProbeTask],
    dims: dict[str, int],
) -> dict[str, Any]:
    linear = f"logistic regression, C={settings.inverse_penalty}, standardised, fitted on the other folds"
    return {
        "model": {"fingerprint": trained.fingerprint, "layer": trained.layer, "pool": trained.pool},
        "dims": dims,
        "labels": {"file": Path(settings.labels).name, "fingerprint": _labels_fingerprint(tasks)},
        "where": settings.where,
        "whitening": "" if whitening is None else whitening.fingerprint,
        "linear": linear,
        "knn": f"majority of {settings.neighbours} by cosine, standardised, among the other folds",
        "rank1": "nearest other clip by cosine is of the same track; standardised over the judged clips",
        "rank1_whitened": (
            f"the same after PCA whitening to {settings.whiten} or a third of the clips, fitted on them"
        ),
        "interval": f"95 %, {settings.bootstrap} bootstrap draws of whole groups",
        "seed": settings.seed,
        "versions": {name: version(name) for name in ("audiomae", "torch", "numpy", "scikit-learn")},
        "decoders": decoder_versions(),
    }


def _labels_fingerprint(tasks: Sequence[ProbeTask]) -> str:
    return fingerprint_of(
        [
            [task.name, [path.name for path in task.paths], task.labels.tolist(), task.folds.tolist()]
            for task in tasks
        ]
    )


def _write_vectors(path: Path, paths: Sequence[Path], vectors: NDArray[np.float32]) -> None:
    stored = io.BytesIO()
    np.savez(stored, path=np.array([one.name for one in paths]), vec=vectors)
    with write_atomically(path) as temporary:
        temporary.write_bytes(stored.getvalue())
