"""Models by name: those that come with the package, and where the model lies that somebody named."""

from __future__ import annotations

from pathlib import Path

from audiomae.checks import close_to
from audiomae.errors import MissingError

__all__ = [
    "is_released",
    "model_folder",
    "model_names",
]

MODELS = Path(__file__).parents[1] / "models"
"""One folder a model: config.json, model.safetensors, and README.md, its card."""


def model_names() -> list[str]:
    """Return the names of the models in the package."""
    return sorted(path.parent.name for path in MODELS.glob("*/config.json"))


def model_folder(name: Path | str) -> Path:
    """Return the folder of a model that is given by name or by path; every verb that takes a model asks here.

    A folder of that name that holds a `config.json` wins over a model in the package: a run of your own that you
    called `tiny/` is what `tiny` means where it lies. `./tiny` is always the folder.

    Args:
        name: Name of a model in the package, such as `tiny`, or a run folder.

    Returns:
        The folder; that it holds a whole model is for `load` to find out.

    Raises:
        MissingError: If it is one word, and neither a folder nor a name.

    Example:
        >>> model_folder("tiny").name
        'tiny'
    """
    folder = Path(name)
    if (folder / "config.json").exists() or str(name) != folder.name:
        return folder
    if (MODELS / folder / "config.json").exists():
        return MODELS / folder
    if folder.exists():
        return folder
    hint = close_to(str(name), model_names(), otherwise=f"There is {', '.join(model_names())}.")
    raise MissingError(f"{name}: no such folder, and no model of that name in the package. {hint}")


def is_released(folder: Path | str) -> bool:
    """Return whether a folder is that of a model in the package, in which nothing is ever written."""
    return Path(folder).resolve().parent == MODELS.resolve()
