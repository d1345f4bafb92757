"""A run folder belongs to one run: what it was begun with decides whether the same command may go on with it."""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from accelerate import Accelerator

from audiomae.disk.files import fingerprint_of, locked, read_json, write_atomically, write_json
from audiomae.errors import ConfigError, OtherRunError
from audiomae.training.ranks import fail_together

__all__ = ["held_run", "identify"]

LOG = logging.getLogger(__name__)

FREE = ("log_every", "evaluate_every", "checkpoint_every", "threads", "compile", "sharding")
"""Settings under `train` that may change from one session of a run to the next."""

SHOWN = 3
"""Changed settings that a message names."""


def identify(settings: dict[str, Any], *, without: tuple[str, ...]) -> tuple[str, dict[str, Any]]:
    """Return the fingerprint of a run's settings, and those that it stands for.

    Args:
        settings: All settings, with `train`.
        without: Names of those that change nothing in the result, such as `out`.
    """
    kept = json.loads(json.dumps({name: value for name, value in settings.items() if name not in without}))
    kept["train"] = {name: value for name, value in kept["train"].items() if name not in FREE}
    if kept["train"].get("optimizer") == "adamw":  # as runs were written down before there was another
        del kept["train"]["optimizer"]
    if kept["train"].get("precision") == "fp32":  # and this is the word they had for it
        kept["train"]["precision"] = "no"
    return fingerprint_of(kept), kept


@contextlib.contextmanager
def held_run(
    out: Path,
    accelerator: Accelerator,
    identity: str,
    settings: dict[str, Any],
    given: dict[str, Any],
    name: str,
    *,
    resume: bool,
) -> Iterator[bool]:
    """Hold a run folder for this training; every process calls it. Arguments as for `claim_run`.

    Yields:
        Whether anything is left to do; if not, the first process has said so.
    """
    main = accelerator.is_main_process
    with contextlib.ExitStack() as held:
        with fail_together(accelerator):
            if main:
                held.enter_context(locked(out))
                claim_run(out, identity, settings, given, name, resume=resume)
        finished = (out / "result.json").exists()
        if finished and main:
            LOG.info("%s: was finished before; nothing to do.", out)
        yield not finished


def claim_run(
    out: Path, identity: str, settings: dict[str, Any], given: dict[str, Any], name: str, *, resume: bool
) -> None:
    """Write down what the run folder is for, or refuse it if it is for something else.

    Args:
        out: Run folder.
        identity: From `identify`.
        settings: From `identify`.
        given: All settings, written as `NAME.yaml`.
        name: Name of the verb.
        resume: Whether a run that lies there may go on.

    Raises:
        ConfigError: If it may not, and there is one.
        OtherRunError: If the folder was begun with other settings.
    """
    note = out / "run.json"
    if note.exists() and not resume:
        raise ConfigError(
            f"{out}: holds a run already, and --resume is never. Name another --out, or use --resume auto."
        )
    if note.exists():
        found = read_json(note, format="audiomae-run/1")
        if found["identity"] != identity:
            changed = differences(found.get("settings"), settings)
            named = ", ".join(changed[:SHOWN]) or "version"
            more = f" and {len(changed) - SHOWN} more" if len(changed) > SHOWN else ""
            raise OtherRunError(
                f"{out}: was begun with another {named}{more}. Use the same settings to "
                "go on, or name another --out."
            )
    else:
        write_json(note, {"format": "audiomae-run/1", "identity": identity, "settings": settings})
    with write_atomically(out / f"{name}.yaml") as temporary:
        plain = json.loads(json.dumps(given))
        temporary.write_text(yaml.safe_dump(plain, sort_keys=False), encoding="utf-8")


def differences(old: Any, new: Any, name: str = "") -> list[str]:
    """Return the settings that differ, by their dotted names, with both values.

    Example:
        >>> differences({"train": {"batch": 8, "seed": 0}}, {"train": {"batch": 16, "seed": 0}})
        ['train.batch (8 → 16)']
    """
    if isinstance(old, dict) and isinstance(new, dict):
        names = [*new, *(one for one in old if one not in new)]
        found = [differences(old.get(one), new.get(one), f"{name}.{one}".lstrip(".")) for one in names]
        return [line for lines in found for line in lines]
    if old == new:
        return []
    shown = [text if len(text := str(value)) <= 40 else f"{text[:37]}..." for value in (old, new)]
    return [f"{name} ({shown[0]} → {shown[1]})"]
