"""What `audiomae probe` says."""

from __future__ import annotations

from audiomae.cli.terminal import print_table
from audiomae.probing.judge import MODEL, TaskResult
from audiomae.probing.measures import Score
from audiomae.verbs.probe import ProbeResult

__all__ = ["EXAMPLE", "MAIN", "show"]

EXAMPLE = "audiomae probe run/ --labels labels.csv --out probe.json"
MAIN = ("labels", "tasks", "whitening", "out")
"""Settings that `--help` shows first."""


def show(result: ProbeResult) -> None:
    """Print the scores as a table, and in how many of them the model is ahead."""
    others = list(next(iter(result.tasks.values())).model_above)
    columns = ("task", "measure", MODEL, *others, "chance")
    rows = [
        (
            name,
            measure,
            *(_shown(task.scores[vectors][measure]) for vectors in (MODEL, *others)),
            _chance(task),
        )
        for name, task in result.tasks.items()
        for measure in task.scores[MODEL]
    ]
    print_table(
        "share of clips answered rightly [95 % interval]", columns, rows, right=tuple(range(2, len(columns)))
    )
    for other in others:
        leads = [lead for task in result.tasks.values() for measure, lead in task.model_above[other].items()]
        ahead, behind = sum(lead.low > 0 for lead in leads), sum(lead.high < 0 for lead in leads)
        print(
            f"The model is ahead of {other} in {ahead} of {len(leads)} rows and behind in {behind}, by more than "
            "chance explains."
        )
    for line in result.cautions:
        print(f"Caution: {line}")


def _shown(score: Score) -> str:
    return f"{score.score:.3f} [{score.low:.2f}–{score.high:.2f}]"


def _chance(task: TaskResult) -> str:
    """Return what always saying the most frequent label scores, where that is known."""
    return "" if task.largest_class is None else f"{task.largest_class:.3f}"
