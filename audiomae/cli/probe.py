"""model + labels → how much its frozen vectors tell, beside mel statistics and the untrained encoder."""

from __future__ import annotations

import io
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from audiomae.audio.decode import decoder_versions
from audiomae.disk.files import fingerprint_of, write_atomically, write_json
from audiomae.errors import ConfigError
from audiomae.model.embedder import load, untrained
from audiomae.model.pooling import Pool
from audiomae.model.whitening import Whitening
from audiomae.probing.labels import Task, read_tasks
from audiomae.probing.measures import (
    Score,
    bootstrap,
    draw_folds,
    probe_linear,
    probe_neighbours,
    retrieve_track,
)
from audiomae.probing.vectors import vectors_of_files

__all__ = ["ProbeSettings", "judge", "probe"]

FORMAT = "audiomae-probe/1"
BASELINES = ("mel statistics", "untrained encoder")


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

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        for name, least in (("folds", 2), ("neighbours", 1), ("whiten", 1), ("bootstrap", 0), ("threads", 0)):
            if getattr(self, name) < least:
                raise ConfigError(f"{name} is {getattr(self, name)}; it must be at least {least}.")
        if not self.inverse_penalty > 0:
            raise ConfigError(f"inverse_penalty is {self.inverse_penalty}; it must be above 0.")


def probe(config: ProbeSettings) -> int:
    """Score the vectors and print a table.

    Raises:
        MissingError: If the labels or an audio file they name are not there.
        DataError: If the labels cannot be used.
    """
    tasks = read_tasks(config.labels, config.tasks, config.where)
    if config.threads:
        torch.set_num_threads(config.threads)
    whitening = None if config.whitening is None else Whitening.load(config.whitening)
    trained = load(config.model).with_pooling(layer=config.layer, pool=config.pool, whiten=whitening)
    embedders = {"model": trained, "untrained encoder": untrained(trained, seed=config.seed)}
    paths = list(dict.fromkeys(path for task in tasks for path in task.paths))
    with _progress() as progress:
        bar = progress.add_task("embedding", total=len(paths))
        vectors = vectors_of_files(paths, embedders, on_files=lambda files: progress.advance(bar, files))
    if config.vectors_out:
        _write_vectors(Path(config.vectors_out), paths, vectors["model"])
    row_of = {path: row for row, path in enumerate(paths)}
    results = {}
    for task in tasks:
        rows = [row_of[path] for path in task.paths]
        results[task.name] = judge(task, {name: all_[rows] for name, all_ in vectors.items()}, config)
        print(f"{task.name} done", file=sys.stderr)
    protocol = {
        "model": {"fingerprint": trained.fingerprint, "layer": trained.layer, "pool": trained.pool},
        "dims": {name: values.shape[1] for name, values in vectors.items()},
        "labels": {"file": Path(config.labels).name, "fingerprint": _labels_fingerprint(tasks)},
        "where": config.where,
        "whitening": "" if whitening is None else whitening.fingerprint,
        "linear": f"logistic regression, C={config.inverse_penalty}, standardised, fitted on the other folds",
        "knn": f"majority of {config.neighbours} by cosine, standardised, among the other folds",
        "rank1": "nearest other clip by cosine is of the same track; standardised over the judged clips",
        "rank1_whitened": f"the same after PCA whitening to {config.whiten} or a third of the clips, fitted on them",
        "interval": f"95 %, {config.bootstrap} bootstrap draws of whole groups",
        "seed": config.seed,
        "versions": {name: version(name) for name in ("audiomae", "torch", "numpy", "scikit-learn")},
        "decoders": decoder_versions(),
    }
    if config.out:
        write_json(config.out, {"format": FORMAT, "protocol": protocol, "tasks": results})
    _print_tables(results)
    return 0


def judge(task: Task, vectors: dict[str, NDArray[np.float32]], config: ProbeSettings) -> dict[str, Any]:
    """Answer one task from each kind of vector.

    Returns:
        Clips, classes, groups, folds, the share of the largest class, and under `scores` for each kind and
        measure the score with its interval; under `model_above` the model's lead over each other kind, paired.
    """
    counts = Counter(task.labels.tolist())
    about: dict[str, Any] = {
        "kind": task.kind,
        "clips": len(task.labels),
        "classes": len(counts),
        "groups": len(set(task.groups.tolist())),
    }
    hits: dict[str, dict[str, NDArray[np.bool_]]] = {}
    if task.kind == "retrieval":
        fewer = max(2, len(task.labels) // 3)  # more directions than that would whiten noise
        for name, values in vectors.items():
            hits[name] = {
                "rank1": retrieve_track(values, task.labels),
                "rank1_whitened": retrieve_track(values, task.labels, whiten=min(config.whiten, fewer)),
            }
    else:
        folds = task.folds
        given = bool((folds >= 0).all())
        if not given:
            folds = draw_folds(task.labels, task.groups, folds=config.folds, seed=config.seed)
        about["folds"] = {"count": len(set(folds.tolist())), "from": "labels file" if given else "drawn"}
        about["largest_class"] = max(counts.values()) / len(task.labels)
        for name, values in vectors.items():
            hits[name] = {
                "linear": probe_linear(values, task.labels, folds, inverse_penalty=config.inverse_penalty),
                "knn": probe_neighbours(values, task.labels, folds, k=config.neighbours),
            }

    def interval(values: NDArray[Any]) -> dict[str, float]:
        score = bootstrap(values, task.groups, resamples=config.bootstrap, seed=config.seed)
        return {name: round(value, 4) for name, value in zip(Score._fields, score, strict=True)}

    scores = {name: {key: interval(row) for key, row in kinds.items()} for name, kinds in hits.items()}
    above = {
        name: {key: interval(row.astype(int) - hits[name][key]) for key, row in hits["model"].items()}
        for name in hits
        if name != "model"
    }
    return {**about, "scores": scores, "model_above": above}


def _labels_fingerprint(tasks: Sequence[Task]) -> str:
    return fingerprint_of(
        [
            [task.name, [path.name for path in task.paths], task.labels.tolist(), task.folds.tolist()]
            for task in tasks
        ]
    )


def _progress() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True))


def _write_vectors(path: Path, paths: Sequence[Path], vectors: NDArray[np.float32]) -> None:
    stored = io.BytesIO()
    np.savez(stored, path=np.array([one.name for one in paths]), vec=vectors)
    with write_atomically(path) as temporary:
        temporary.write_bytes(stored.getvalue())


def _print_tables(results: dict[str, dict[str, Any]]) -> None:
    table = Table(title="score [95 % interval]", title_justify="left")
    for name in ("task", "measure", "model", *BASELINES, "largest class"):
        table.add_column(name, no_wrap=True)
    for task, result in results.items():
        scores = result["scores"]
        for measure in scores["model"]:
            shown = [
                "{score:.3f} [{low:.3f}–{high:.3f}]".format(**scores[name][measure])
                for name in ("model", *BASELINES)
            ]
            chance = f"{result['largest_class']:.3f}" if "largest_class" in result else ""
            table.add_row(task, measure, *shown, chance)
    Console(markup=False, width=max(120, Console().width)).print(table)
