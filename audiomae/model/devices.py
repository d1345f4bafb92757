"""Where a model computes."""

from __future__ import annotations

import torch

from audiomae.errors import ConfigError

__all__ = ["pick_device"]


def pick_device(name: torch.device | str) -> torch.device:
    """Return a device that can be used.

    Args:
        name: `auto`, a GPU if there is one; or such as `cpu` or `cuda:1`.

    Raises:
        ConfigError: If it is not there.

    Example:
        >>> pick_device("cpu")
        device(type='cpu')
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(
            f"device {str(name)!r} cannot be used ({str(error).splitlines()[0]}). Use cpu."
        ) from None
    return device
