"""What `audiomae similar` says."""

from __future__ import annotations

from audiomae.cli.song_names import name_songs
from audiomae.cli.terminal import print_table
from audiomae.similarity.explanation import SimilarityExplanation
from audiomae.verbs.similar import SimilarResult

__all__ = ["EXAMPLE", "MAIN", "show"]

EXAMPLE = "audiomae similar vectors/ --like one.flac,two.flac --k 5"
MAIN = ("track", "file", "like", "unlike", "k", "from_", "to", "radio", "per_artist", "where", "out")
"""Settings that `--help` shows first."""
TITLES = {"similar": "Most similar to {}", "path": "From {}", "radio": "Radio from {}"}


def show(result: SimilarResult) -> None:
    """Print the songs as a table, nearest first or in the order in which to play them."""
    if result.hubness is not None:
        print(f"The nearest songs of every song are in {result.out}.")
        print(
            "How uneven neighbourhoods are (skewness of how often a song is near): "
            f"{result.hubness.before:.2f} as they are, {result.hubness.after:.2f} with hubs corrected."
        )
        return
    rows = [
        (str(place), name, song.artist, song.track_id, f"{song.cosine:.3f}")
        for place, (song, name) in enumerate(zip(result.similar, name_songs(result.similar), strict=True), 1)
    ]
    print_table(
        TITLES[result.kind].format(result.name),
        ("", "title", "artist", "track_id", "cosine"),
        rows,
        right=(0, 4),
    )
    for place, why in enumerate(result.why, 1):
        print(f"{place}. {_reason(why)}")
    if result.out is not None:
        print(f"Written to {result.out}.")


def _reason(why: SimilarityExplanation) -> str:
    """Return in a sentence in what two songs are alike, and where."""
    factors = ", ".join(f"{one.factor} {100 * one.nearer_than:.0f} %" for one in why.factors)
    moments = "; ".join(
        f"{one.start_seconds:.0f} s and {one.other_start_seconds:.0f} s" for one in why.moments
    )
    return f"nearer than that share of the songs in: {factors}. Most alike from {moments}."
