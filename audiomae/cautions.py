"""When a figure decides nothing: too few were judged, or a list holds much of what there is to choose from."""

from __future__ import annotations

__all__ = [
    "FEW_JUDGED",
    "caution_of",
]

FEW_JUDGED = 50
"""With fewer users or songs, chance alone moves a share of one half by more than 0.14 either way (95 %)."""

LARGEST_SHARE = 0.1
"""Share of the songs that a list may hold: songs drawn at random then reach a recall of as much."""


def caution_of(
    judged: int,
    unit: str,
    *,
    k: int | None = None,
    candidates: int | None = None,
    figures: str = "these figures",
) -> str:
    """Return a sentence that says why figures decide nothing; empty where they may.

    Args:
        judged: Users or songs that the figures are a mean over.
        unit: What was judged, in the plural: "users".
        k: Length of the lists that were judged; None where nothing was listed.
        candidates: Songs that a list could hold.
        figures: What the figures are called.

    Example:
        >>> caution_of(27, "songs")
        'these figures decide nothing: 27 songs were judged, and chance alone moves a share of so few by up to 0.19; \
judge 50 or more.'
        >>> caution_of(400, "users", k=20, candidates=1000)
        ''
    """
    reasons, ways = [], []
    if judged < FEW_JUDGED:
        error = min(1.0, 1.96 * 0.5 / max(judged, 1) ** 0.5)
        reasons.append(
            f"{judged} {unit} were judged, and chance alone moves a share of so few by up to {error:.2f}"
        )
        ways.append(f"judge {FEW_JUDGED} or more")
    if k is not None and candidates is not None and k > LARGEST_SHARE * candidates:
        share = min(1.0, k / max(candidates, 1))
        reasons.append(
            f"a list of {k} holds {100 * share:.0f} % of the {candidates} songs, and songs drawn at random reach a "
            f"recall of {share:.2f}"
        )
        ways.append(f"a list should hold at most {100 * LARGEST_SHARE:.0f} % of the songs")
    return f"{figures} decide nothing: {'; '.join(reasons)}; {', and '.join(ways)}." if reasons else ""
