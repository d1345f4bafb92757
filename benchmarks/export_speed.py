"""Clips a second of `audiomae export`, beside the bare encoder on clips that already lie in memory.

usage: python benchmarks/export_speed.py [--size tiny] [--clips 512] [--rounds 5] [--threads 1]

Both run in turn, in one process, with the same batch and threads; medians over the rounds. The export reads a
corpus from disk, pools, and writes Parquet; the bare encoder does nothing but the forward pass up to the same
block. The target is a share of 0.85 or more.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import torch
from noise_corpus import write_noise_corpus

from audiomae.model.config import model_of_size
from audiomae.model.embedder import Embedder, load, save, untrained
from audiomae.verbs.export import ExportSettings, export


def write_clips(folder: Path, model: Embedder, clips: int, clips_a_track: int = 32) -> None:
    """Write a corpus of noise that the model cuts into `clips` clips."""
    seconds = model.hop_seconds * (clips_a_track - 1) + model.clip_seconds
    write_noise_corpus(folder, tracks=clips // clips_a_track, seconds=seconds)


def main() -> None:
    """Measure, and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", default="tiny", help="named size of the model, default tiny")
    parser.add_argument("--clips", type=int, default=512, help="clips in the corpus, default 512")
    parser.add_argument("--rounds", type=int, default=5, help="rounds, default 5")
    parser.add_argument("--batch", type=int, default=64, help="clips a forward pass, default 64")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads, default 1")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    bare, whole = [], []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        save(untrained(model_of_size(arguments.size)), folder / "run", {})
        model = load(folder / "run")
        write_clips(folder / "corpus", model, arguments.clips)
        shape = (arguments.batch, model.config.clip_frames, model.config.mels)
        clips = torch.randn(shape, generator=torch.Generator().manual_seed(0))
        for number in range(arguments.rounds + 1):
            start = time.perf_counter()
            with torch.inference_mode():
                for _ in range(arguments.clips // arguments.batch):
                    model.autoencoder.encode(clips, layer=model.layer)
            bare.append(arguments.clips / (time.perf_counter() - start))
            config = ExportSettings(
                (str(folder / "run"), str(folder / "corpus")),
                str(folder / f"vectors-{number}"),
                batch=arguments.batch,
                threads=arguments.threads,
                device="cpu",
            )
            start = time.perf_counter()
            export(config)
            whole.append(arguments.clips / (time.perf_counter() - start))
    rates = [statistics.median(one[1:]) for one in (bare, whole)]  # the first round warms up
    shares = sorted(w / b for w, b in zip(whole[1:], bare[1:], strict=True))
    print("| what | clips/s |\n|---|---|")
    print(f"| bare encoder, {arguments.size}, {arguments.threads} threads | {rates[0]:.1f} |")
    print(f"| audiomae export | {rates[1]:.1f} |")
    print(
        f"| share (median of rounds; lowest to highest) | {statistics.median(shares):.3f} "
        f"({shares[0]:.3f} to {shares[-1]:.3f}) |"
    )


if __name__ == "__main__":
    main()
