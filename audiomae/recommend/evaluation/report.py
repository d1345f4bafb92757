"""The result of an evaluation as Markdown tables."""

from __future__ import annotations

from collections.abc import Sequence

from audiomae.recommend.evaluation.bootstrap import Interval
from audiomae.recommend.evaluation.results import CalibrationResult, EvaluateResult, Measure

__all__ = ["write_tables"]


def write_tables(result: EvaluateResult) -> str:
    """Return the tables of a result as Markdown."""
    protocol = result.protocol
    ks, everyone = protocol.ks, result.parts["all"]
    text = [
        f"Judged on {protocol.judged_on}: {protocol.users_judged} users, {protocol.pairs_to_be_found} new "
        f"tracks to be found among {protocol.candidates}. Known: {protocol.known}. 95 % intervals over users.",
        *(f"\n**Caution:** {line}" for line in result.cautions),
        "",
        f"## All users ({everyone.users})",
        "",
    ]
    measures = [f"{name}@{k}" for k in ks for name in ("recall", "ndcg", "mrr", "hit_rate")]
    text += _table(
        ["system", *measures],
        [
            [name, *(_with_deviation(of[measure]) for measure in measures)]
            for name, of in everyone.systems.items()
        ],
    )
    text += _intervals(result)
    text += _parts(result)
    text += [f"## The lists of {ks[0]}", ""]
    names = ("coverage", "gini", "novelty", "artist_diversity", "popularity_bias")
    about = [f"{name}@{ks[0]}" for name in names]
    text += _table(
        ["system", *about],
        [[name, *(_number(of[key]) for key in about)] for name, of in result.lists.items()],
    )
    text += ["", *_calibration(result.calibration), *_chosen(result)]
    text += [f"- left out: {name}: {reason}" for name, reason in protocol.left_out.items()]
    return "\n".join(text) + "\n"


def _intervals(result: EvaluateResult) -> list[str]:
    """Return each system's intervals, and what the first one is ahead by."""
    ks, everyone = result.protocol.ks, result.parts["all"]
    first = next(iter(everyone.systems))
    shown = [f"ndcg@{ks[0]}", f"recall@{ks[len(ks) // 2]}", f"ndcg@{ks[-1]}"]
    rows = []
    for name, of in everyone.systems.items():
        ahead = everyone.differences.get(name)
        rows.append([name])
        for measure in shown:
            gap = "" if ahead is None else _interval(ahead[measure], sign=True)
            rows[-1] += [_interval(of[measure]), gap]
    heads = [head for measure in shown for head in (measure, "ahead")]
    title = f"## Intervals, and what `{first}` is ahead by (paired)"
    return ["", title, "", *_table(["system", *heads], rows)]


def _parts(result: EvaluateResult) -> list[str]:
    """Return a measure or two of each part of the users and tracks."""
    ks, parts = result.protocol.ks, result.parts
    text = ["", "## Parts: full catalogue, and among the group's tracks alone", ""]
    kept = [name for name in parts if name != "all"]
    for measure in (f"recall@{ks[len(ks) // 2]}", f"ndcg@{ks[0]}"):
        heads = [measure, *(f"{name} ({parts[name].users})" for name in kept)]
        rows = [
            [name, *(_interval(parts[part].systems[name][measure]) for part in kept)]
            for name in parts["all"].systems
        ]
        text += [*_table(heads, rows), ""]
    return text


def _calibration(found: CalibrationResult) -> list[str]:
    if found.note is not None:
        return ["## Probabilities", "", f"None: {found.note}."]
    rows = [
        [
            f"{name}, {kind}",
            f"{scores.log_loss:.4f}",
            f"{scores.normalised_entropy:.4f}",
            f"{scores.calibration_error:.4f}",
        ]
        for name, kinds in found.systems.items()
        for kind, scores in kinds.items()
    ]
    return [
        f"## Probabilities ({found.examples['judged_on']}, {found.examples['negatives']})",
        "",
        *_table(["fitted on validation", "log-loss", "normalised entropy", "calibration error"], rows),
    ]


def _chosen(result: EvaluateResult) -> list[str]:
    """Return the parameters that were chosen for the baselines."""
    seeds = result.protocol.systems
    chosen = {name: about[0]["parameters"] for name, about in seeds.items() if about[0].get("parameters")}
    if not chosen:
        return []
    lines = [
        f"- {name}: " + ", ".join(f"{key} {value}" for key, value in values.items())
        for name, values in chosen.items()
    ]
    return ["", f"Parameters ({result.protocol.tuning['on']}):", *lines]


def _number(value: float) -> str:
    return f"{value:.4f}" if abs(value) < 1 else f"{value:.2f}"


def _with_deviation(value: Measure) -> str:
    deviation = value.deviation_over_seeds
    return f"{value.mean:.4f}" + ("" if deviation is None else f" ±{deviation:.4f}")


def _interval(value: Interval, *, sign: bool = False) -> str:
    form = "+.4f" if sign else ".4f"
    return f"{value.mean:{form}} [{value.low:{form}}, {value.high:{form}}]"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = ["| " + " | ".join(heads) + " |", "|---|" + "---:|" * (len(heads) - 1)]
    return lines + ["| " + " | ".join(row) + " |" for row in rows]
