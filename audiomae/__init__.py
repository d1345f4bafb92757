"""Self-supervised audio embeddings for music: songs in, vectors and recommendations out.

model = audiomae.load("tiny")
vectors = model.embed_files(["song.flac"])

Every verb of the command line is a function with the same name, settings and defaults, and returns a dataclass:
`audiomae.export("tiny", "songs/", out="vectors/")`.
"""

from __future__ import annotations

import logging
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from audiomae.corpus.corpus import Corpus
    from audiomae.model.embedder import Embedder, load
    from audiomae.recommend.serving.recommender import Recommender
    from audiomae.vectors.vectors import Vectors

_OBJECTS = {
    "Corpus": "audiomae.corpus.corpus",
    "Embedder": "audiomae.model.embedder",
    "Recommender": "audiomae.recommend.serving.recommender",
    "Vectors": "audiomae.vectors.vectors",
    "load": "audiomae.model.embedder",
}

__all__ = [
    "Corpus",
    "Embedder",
    "Recommender",
    "Vectors",
    "__version__",
    "check_tables",
    "consolidate",
    "demo",
    "duplicates",
    "evaluate",
    "explain",
    "export",
    "load",
    "plan",
    "prepare",
    "prepare_tables",
    "pretrain",
    "probe",
    "reconstruct",
    "similar",
    "train_ranker",
    "train_towers",
    "update_catalogue",
    "watch",
]

logging.getLogger(__name__).addHandler(logging.NullHandler())


def __getattr__(name: str) -> Any:
    """Import the public names on first use, so that the command line starts at once."""
    if name in _OBJECTS:
        return getattr(import_module(_OBJECTS[name]), name)
    if name == "__version__":
        return import_module("importlib.metadata").version("audiomae")
    if name in __all__:  # a verb, under its Python name; lists for users come from Recommender.recommend
        return import_module("audiomae.doors").make_door(name.replace("_", "-"))
    raise AttributeError(f"module 'audiomae' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
