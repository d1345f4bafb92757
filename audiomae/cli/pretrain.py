"""What `audiomae pretrain` says."""

from __future__ import annotations

from audiomae.cli.terminal import print_table
from audiomae.training.profile import PHASES, ProfileResult
from audiomae.verbs.pretrain import PretrainResult

__all__ = ["EXAMPLE", "MAIN", "show", "status"]

EXAMPLE = "audiomae pretrain --corpus corpus/ --out run/ --minutes 60"
MAIN = (
    "corpus",
    "out",
    "minutes",
    "steps",
    "size",
    "mask",
    "ratio",
    "init",
    "profile",
    "train.batch",
    "train.accumulate",
    "train.learning_rate",
    "train.precision",
    "train.seed",
)
"""Settings that `--help` shows first."""

NUMBERS = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}


def status(result: PretrainResult) -> int:
    """Return 128 + the signal that stopped the training, so that what was to follow does not go on; else 0."""
    return 0 if result.stopped_by is None else 128 + result.stopped_by


def show(result: PretrainResult) -> int:
    """Print what was trained and how good it is, or where the time of a step goes."""
    if result.profile is not None:
        _show_profile(result.profile)
    elif result.finished:
        done = "were trained before" if result.already_complete else "trained"
        print(f"{result.steps:,} steps {done}; the model is in {result.run}.")
        if (scores := result.metrics) is not None:
            print(
                f"Rebuilding masked patches of tracks that it was not trained on, its error is "
                f"{scores.held_out_loss:.3f}; guessing the nearest visible patch gives "
                f"{scores.held_out_nearest_column:.3f}, each place's mean {scores.held_out_position_mean:.3f}."
            )
    return status(result)


def _show_profile(profile: ProfileResult) -> None:
    """Print where a step's time went, clips a second, and the share of the matrix peak."""
    kind = NUMBERS[profile.precision]
    where = "one process" if profile.processes == 1 else f"{profile.processes} processes"
    whole = sum(profile.seconds.values())
    rows = [
        (phase, f"{1000 * profile.seconds[phase]:.2f}", f"{profile.seconds[phase] / whole:.1%}")
        for phase in PHASES
    ]
    rows.append(("whole step", f"{1000 * whole:.2f}", "100.0%"))
    title = f"{profile.steps} steps of {profile.batch} clips, {where}, matrix products in {kind}"
    print_table(title, ("phase", "milliseconds", "share"), rows, right=(1, 2))
    print(
        f"{profile.samples_per_second:,.1f} clips/s at {profile.flops_per_second / 1e9:,.1f} GFLOP/s "
        f"({profile.flops / profile.batch / 1e9:.2f} GFLOP a clip, forward and backward)."
    )
    print(
        f"That is {profile.share_of_peak:.1%} of the {profile.peak / 1e9:,.1f} GFLOP/s that a square matrix product "
        f"in {kind} has just reached here."
    )
