"""What `audiomae evaluate` says."""

from __future__ import annotations

from audiomae.cli.terminal import print_table
from audiomae.verbs.evaluate import EvaluateResult

__all__ = ["EXAMPLE", "MAIN", "show"]

EXAMPLE = "audiomae evaluate recommender/ --baselines [random,popularity,item-knn] --out evaluation.json"
MAIN = ("beside", "interactions", "content", "baselines", "tune", "ks", "out")
"""Settings that `--help` shows first."""


def show(result: EvaluateResult) -> None:
    """Print whom the lists were judged by, the main measures with intervals, and new tracks by themselves."""
    protocol, parts = result.protocol, result.parts
    print(
        f"Judged on {protocol.judged_on}: {protocol.users_judged:,} users and {protocol.pairs_to_be_found:,} tracks "
        f"that are new to them, to be found among {protocol.candidates}."
    )
    ks = protocol.ks
    recall, ndcg = f"recall@{ks[len(ks) // 2]}", f"ndcg@{ks[0]}"
    for name, part in parts.items():
        if name not in ("all", "cold users", "cold tracks", "cold tracks among themselves"):
            continue
        title = (
            f"{'All users' if name == 'all' else name.capitalize()} ({part.users:,} users; 95 % intervals)"
        )
        rows = [
            (
                system,
                *(f"{of[one].mean:.4f} [{of[one].low:.4f}, {of[one].high:.4f}]" for one in (recall, ndcg)),
            )
            for system, of in part.systems.items()
        ]
        print_table(title, ("system", recall, ndcg), rows, right=(1, 2))
    for line in _ahead(result, ndcg):
        print(line)
    for line in result.cautions:
        print(f"Caution: {line}")


def _ahead(result: EvaluateResult, measure: str) -> list[str]:
    """Return, of each other system, whether the first is surely better."""
    lines = []
    first = next(iter(result.parts["all"].systems), "")
    for name, of in result.parts["all"].differences.items():
        gap = of[measure]
        word = "better than" if gap.low > 0 else "worse than" if gap.high < 0 else "not surely different from"
        lines.append(
            f"{first} is {word} {name} ({measure} {gap.mean:+.4f}, between {gap.low:+.4f} and {gap.high:+.4f})."
        )
    return lines
