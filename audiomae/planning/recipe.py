"""What `audiomae plan` takes from a recipe of pretrain."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import yaml

from audiomae.errors import DataError, MissingError, reason_of
from audiomae.model.overrides import ModelOverrides
from audiomae.settings_text import read_yaml
from audiomae.training.settings import OptimizerName

__all__ = ["settings_of_recipe"]


def settings_of_recipe(path: Path) -> dict[str, Any]:
    """Return what a pretrain.yaml names: size, model, mask, ratio, batch, accumulate, optimizer, precision and pairs.

    Raises:
        MissingError: If it cannot be read.
        DataError: If it is not YAML, holds no settings, or names an entry of the model that there is not.
    """
    read = _read(path)
    train = read.get("train") or {}
    found: dict[str, Any] = {name: train[name] for name in ("batch", "accumulate") if name in train}
    if train.get("optimizer") in get_args(OptimizerName):
        found["optimizer"] = train["optimizer"]
    if train.get("precision") in ("fp32", "no", "bf16"):
        found["precision"] = "bf16" if train["precision"] == "bf16" else "fp32"
    found |= {name: read[name] for name in ("size", "mask", "ratio") if read.get(name) is not None}
    if model := read.get("model"):
        try:
            found["model"] = ModelOverrides(**model)
        except TypeError as error:
            raise DataError(f"{path}: is not a config of pretrain ({error}).") from error
    return {**found, "pairs": bool((read.get("pairs") or {}).get("weight", 1))}


def _read(path: Path) -> dict[str, Any]:
    try:
        read = read_yaml(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise MissingError(f"{path}: cannot be read ({reason_of(error)}).") from error
    except yaml.YAMLError as error:
        raise DataError(f"{path}: is not YAML ({str(error).splitlines()[0]}).") from error
    if not isinstance(read, dict):
        raise DataError(f"{path}: holds no settings of pretrain.")
    for name in ("train", "model", "pairs"):
        if not isinstance(read.get(name) or {}, dict):
            raise DataError(f"{path}: {name} holds no settings of its own; write them indented below it.")
    return read
