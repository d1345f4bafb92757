"""What `audiomae update-catalogue` says."""

from __future__ import annotations

from audiomae.recommend.serving.updates import CatalogueUpdate

__all__ = ["EXAMPLE", "MAIN", "show"]

EXAMPLE = "audiomae update-catalogue recommender/ --add vectors_new/"
MAIN = ("add", "replace", "remove")
"""Settings that `--help` shows first."""


def show(result: CatalogueUpdate) -> None:
    """Print how many songs changed, and how many there are now."""
    if result.gone:
        print(
            f"Nothing to do: the {result.gone:,} songs were removed from {result.catalogue} already "
            f"({result.tracks:,} songs)."
        )
        return
    if not result.changed:
        print(
            f"Nothing to do: all {result.there:,} songs are in {result.catalogue} already, with the same vectors "
            f"({result.tracks:,} songs)."
        )
        return
    grown = result.tracks - result.before
    done = "added" if grown > 0 else "removed" if grown < 0 else "replaced"
    beside = f" ({result.there:,} were there already)" if result.there else ""
    print(
        f"{result.changed:,} song{'s' * (result.changed != 1)} {done}{beside}: {result.catalogue} holds "
        f"{result.tracks:,} songs now, version {result.version}."
    )
