"""Self-supervised audio embeddings for music: songs in, vectors and recommendations out.

model = audiomae.load("run/")
vectors = model.embed_files(["song.flac"])
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from audiomae.model.embedder import Embedder, load

__all__ = ["Embedder", "load"]


def __getattr__(name: str) -> Any:
    """Import the public names on first use, so that the command line starts at once."""
    if name in __all__:
        from audiomae.model import embedder

        return getattr(embedder, name)
    raise AttributeError(f"module 'audiomae' has no attribute {name!r}")
