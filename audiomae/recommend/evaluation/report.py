"""The result of an evaluation as Markdown tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__ = ["write_tables"]


def write_tables(result: dict[str, Any]) -> str:
    """Return the tables of a result, as `audiomae evaluate` prints them."""
    protocol, parts = result["protocol"], result["parts"]
    ks = protocol["ks"]
    short, long = ks[0], ks[-1]
    everyone = parts["all"]
    text = [
        f"Judged on {protocol['judged_on']}: {protocol['users_judged']} users, {protocol['pairs_to_be_found']} new "
        f"tracks to be found among {protocol['candidates']}. Known: {protocol['known']}. 95 % intervals over users.",
        "",
        f"## All users ({everyone['users']})",
        "",
    ]
    measures = [f"{name}@{k}" for k in ks for name in ("recall", "ndcg", "mrr", "hit_rate")]
    text += _table(
        ["system", *measures],
        [
            [name, *(_with_deviation(of[measure]) for measure in measures)]
            for name, of in everyone["systems"].items()
        ],
    )
    text += ["", f"## Intervals, and what `{_first(everyone)}` is ahead by (paired)", ""]
    shown = [f"ndcg@{short}", f"recall@{ks[len(ks) // 2]}", f"ndcg@{long}"]
    rows = []
    for name, of in everyone["systems"].items():
        ahead = everyone["differences"].get(name)
        rows.append([name])
        for measure in shown:
            rows[-1] += [
                _interval(of[measure]),
                "" if ahead is None else _interval(ahead[measure], sign=True),
            ]
    heads = [head for measure in shown for head in (measure, "ahead")]
    text += _table(["system", *heads], rows)
    text += ["", "## Parts: full catalogue, and among the group's own tracks", ""]
    kept = [name for name in parts if name != "all"]
    for measure in (f"recall@{ks[len(ks) // 2]}", f"ndcg@{short}"):
        text += _table(
            [measure, *(f"{name} ({parts[name]['users']})" for name in kept)],
            [
                [name, *(_interval(parts[part]["systems"][name][measure]) for part in kept)]
                for name in everyone["systems"]
            ],
        )
        text += [""]
    text += [f"## The lists of {short}", ""]
    about = [
        f"{name}@{short}" for name in ("coverage", "gini", "novelty", "artist_diversity", "popularity_bias")
    ]
    text += _table(
        ["system", *about],
        [[name, *(_number(of[key]) for key in about)] for name, of in result["lists"].items()],
    )
    text += ["", *_calibration(result["calibration"])]
    chosen = {
        name: about[0]["parameters"]
        for name, about in protocol["systems"].items()
        if about[0].get("parameters")
    }
    if chosen:
        text += ["", f"Parameters ({protocol['tuning']['on']}):"]
        text += [
            f"- {name}: " + ", ".join(f"{key} {value}" for key, value in values.items())
            for name, values in chosen.items()
        ]
    text += [f"- left out: {name}: {reason}" for name, reason in protocol["left_out"].items()]
    return "\n".join(text) + "\n"


def _calibration(found: dict[str, Any]) -> list[str]:
    if "note" in found:
        return ["## Probabilities", "", f"None: {found['note']}."]
    rows = [
        [f"{name}, {kind}", *(f"{value:.4f}" for value in scores.values())]
        for name, kinds in found["systems"].items()
        for kind, scores in kinds.items()
    ]
    return [
        f"## Probabilities ({found['examples']['judged_on']}, {found['examples']['negatives']})",
        "",
        *_table(["fitted on validation", "log-loss", "normalised entropy", "calibration error"], rows),
    ]


def _first(part: dict[str, Any]) -> str:
    return str(next(iter(part["systems"])))


def _number(value: float) -> str:
    return f"{value:.4f}" if abs(value) < 1 else f"{value:.2f}"


def _with_deviation(value: dict[str, Any]) -> str:
    deviation = value["deviation_over_seeds"]
    return f"{value['mean']:.4f}" + ("" if deviation is None else f" ±{deviation:.4f}")


def _interval(value: dict[str, Any], *, sign: bool = False) -> str:
    form = "+.4f" if sign else ".4f"
    return f"{value['mean']:{form}} [{value['low']:{form}}, {value['high']:{form}}]"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = ["| " + " | ".join(heads) + " |", "|---|" + "---:|" * (len(heads) - 1)]
    return lines + ["| " + " | ".join(row) + " |" for row in rows]
