"""A stand-in for a GPU: another device in front of the CPU's arithmetic, on which forgetting a tensor is an error.

`install()` makes a device named "standin" (torch's PrivateUse1 key, one a process). Its tensors hold CPU tensors.
Mixing them with tensors of the CPU is an error, as on a GPU; so is `.numpy()`. Where the host would wait for a GPU
(`.item()`, `bool(tensor)`, a copy to the CPU), `counted_waits` notes it.
"""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Iterator
from typing import Any

import torch
from torch.utils._pytree import tree_flatten, tree_map
from torch.utils.backend_registration import _DummyBackendModule, _setup_privateuseone_for_python_backend

__all__ = ["NAME", "counted_waits", "install"]

NAME = "standin"
aten = torch.ops.aten
_KEPT: list[torch.library.Library] = []
_WAITS: list[str] = []

COPIES = {
    aten._to_copy.default,
    aten.copy_.default,
    aten._copy_from.default,
    aten._copy_from_and_resize.default,
}
WAITS = {aten._local_scalar_dense.default, aten.is_nonzero.default, aten.nonzero.default}


class DeviceTensor(torch.Tensor):
    """A tensor of the stand-in device; `raw` is the CPU tensor that does its arithmetic."""

    raw: torch.Tensor

    @staticmethod
    def __new__(cls, raw: torch.Tensor) -> DeviceTensor:
        made = torch.Tensor._make_wrapper_subclass(
            cls,
            raw.shape,
            strides=raw.stride(),
            storage_offset=raw.storage_offset(),
            dtype=raw.dtype,
            device=torch.device(NAME, 0),
        )
        made.raw = raw
        return made  # type: ignore[no-any-return]

    @classmethod
    def __torch_dispatch__(cls, op: Any, types: Any, given: Any = (), named: Any = None) -> Any:
        return _run(op, *given, **(named or {}))

    def __repr__(self, **_: Any) -> str:  # type: ignore[override]
        return f"DeviceTensor({tuple(self.shape)}, {self.dtype})"


class _Backend(_DummyBackendModule):
    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        """Return what autocast may take."""
        return [torch.bfloat16]


def _is_here(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and value.device.type == NAME


def _raw(value: Any) -> Any:
    if _is_here(value):
        return value.raw
    return torch.device("cpu") if isinstance(value, torch.device) and value.type == NAME else value


def _run(op: Any, *given: Any, **named: Any) -> Any:
    """Do an operation of the device on the CPU tensors behind it."""
    tensors = [value for value in tree_flatten((given, named))[0] if isinstance(value, torch.Tensor)]
    if op in COPIES:
        return _copy(op, given, named)
    if op in WAITS:
        _WAITS.append("".join(traceback.format_stack(limit=30)))
    for value in tensors:
        if not _is_here(value) and value.dim():
            raise RuntimeError(
                f"{op}: a tensor of {tuple(value.shape)} lies on {value.device}, others on {NAME}"
            )
    asked = named.get("device")
    to_host = asked is not None and torch.device(asked).type != NAME
    raw_given, raw_named = tree_map(_raw, given), tree_map(_raw, named)
    out = op(*raw_given, **raw_named)
    if to_host:
        return out
    same = {id(value.raw): value for value in tensors if _is_here(value)}

    def wrapped(one: Any) -> Any:
        if not isinstance(one, torch.Tensor):
            return one
        return same[id(one)] if id(one) in same else DeviceTensor(one)

    return tree_map(wrapped, out)


def _copy(op: Any, given: tuple[Any, ...], named: dict[str, Any]) -> Any:
    """Copy to, from or within the device."""
    if op is aten._to_copy.default:
        asked = named.pop("device", None)
        to_here = asked is None or torch.device(asked).type == NAME
        if not to_here:
            _WAITS.append("".join(traceback.format_stack(limit=30)))
        out = op(_raw(given[0]), **named)
        if out is _raw(given[0]) or (out.data_ptr() == _raw(given[0]).data_ptr() and out.numel()):
            out = out.clone()
        return DeviceTensor(out) if to_here else out
    source, target = (given[0], given[1]) if op is not aten.copy_.default else (given[1], given[0])
    if _is_here(source) and not _is_here(target):
        _WAITS.append("".join(traceback.format_stack(limit=30)))
    _raw(target).copy_(_raw(source))
    return target


def install() -> torch.device:
    """Make the device, once a process and before audiomae is imported, and return it."""
    if not _KEPT:
        _setup_privateuseone_for_python_backend(NAME, backend_module=_Backend())
        library = torch.library.Library("_", "IMPL")
        library.fallback(_run, dispatch_key="PrivateUse1")
        _KEPT.append(library)
        torch.__future__.set_swap_module_params_on_conversion(
            True
        )  # parameters stay the same objects, as on a GPU
        torch.inference_mode = torch.no_grad  # type: ignore[misc] # tensors that wrap others know no inference mode
    return torch.device(NAME, 0)


@contextlib.contextmanager
def counted_waits() -> Iterator[list[str]]:
    """Yield a list that grows by a stack for each moment at which the host waits for the device."""
    _WAITS.clear()
    yield _WAITS
