"""What a training writes down as it goes: JSON lines and TensorBoard."""

from __future__ import annotations

import json
from pathlib import Path

from torch.utils.tensorboard import SummaryWriter

from audiomae.disk.files import write_atomically
from audiomae.errors import StorageError

__all__ = ["Records"]


class Records:
    """Metrics that depend on the seed alone in `metrics.jsonl`, speeds in `speed.jsonl`, both in TensorBoard.

    Args:
        folder: The run folder.
        step: Step the training goes on from; lines beyond it, of a run that was cut off, are dropped.
        known: Lines of `metrics.jsonl` that were there at that checkpoint, as what is written after it may be of the
            same step; None where it does not say.

    Attributes:
        lines: Lines of `metrics.jsonl`.
    """

    def __init__(self, folder: Path, step: int, known: int | None = None) -> None:
        self.folder = folder
        self.lines = self._cut(folder / "metrics.jsonl", step, known)
        self._cut(folder / "speed.jsonl", step, None)
        self.board = SummaryWriter(str(folder / "tensorboard"), purge_step=step + 1 if step else None)

    @staticmethod
    def _cut(path: Path, step: int, most: int | None) -> int:
        """Drop lines beyond a step or a number of lines; return how many stay."""
        if not path.exists():
            return 0
        kept = []
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                entry = json.loads(line)
            except ValueError:
                break
            if entry["step"] <= step:
                kept.append(line + "\n")
        kept = kept[:most]
        with write_atomically(path) as temporary:
            temporary.write_text("".join(kept), encoding="utf-8")
        return len(kept)

    def write(self, name: str, step: int, values: dict[str, float]) -> None:
        """Append one line to `name` ("metrics" or "speed")."""
        try:
            with (self.folder / f"{name}.jsonl").open("a", encoding="utf-8") as lines:
                lines.write(json.dumps({"step": step, **dict(sorted(values.items()))}) + "\n")
            self.lines += name == "metrics"
            for key, value in values.items():
                self.board.add_scalar(key, value, step)
        except OSError as error:
            raise StorageError(
                f"{self.folder}: cannot write metrics ({error.strerror}). The last checkpoint is intact; free some "
                "space and run the same command again."
            ) from error

    def close(self) -> None:
        """Finish the TensorBoard file."""
        self.board.close()
