"""Training on one GPU: clips a second, share of the matrix peak, and what each option is worth.

    python benchmarks/gpu_training.py [--size base] [--batch 512] [--steps 50] [--masks 4]
    python benchmarks/gpu_training.py --device cpu --size tiny --batch 16 --steps 2   # checks the script

Whole steps of `audiomae pretrain`, input included: clips read from a corpus of noise on disk one step ahead, copied to
the device, forward, backward, clipping, AdamW. Every arm runs in a process of its own. "all" has bfloat16, fused
attention, fused AdamW, torch.compile and several masks a clip; the next arms lack one of them each. "pairs" is "all"
with the clip-level term beside. "peer" is AudioMAE's arrangement (audiomae_arrangement.py) at the same encoder,
tokens and share masked, in bfloat16, with attention written out, plain AdamW, nothing compiled, one mask a clip.

The share of the peak compares the operations of matrix products and attention, forward and backward, with the
best square product in the same precision in the same process. Aims on one H200, size base: 40 % of the peak, 5 times
the peer.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from audiomae_arrangement import AudioMaeArrangement, write_out_attention
from noise_corpus import write_noise_corpus
from report import conditions, markdown
from torch.optim import AdamW

from audiomae.corpus.corpus import Corpus
from audiomae.model.config import model_of_size
from audiomae.pretraining.settings import MaskSettings, PairSettings
from audiomae.pretraining.task import MaskedTask
from audiomae.training.optimizer import make_optimizer
from audiomae.training.processes import make_accelerator
from audiomae.training.profile import profile_steps
from audiomae.training.settings import LoopSettings

ARMS = {
    "all": "all options",
    "bf16": "without bfloat16 (float32)",
    "sdpa": "without fused attention",
    "fused": "without fused AdamW",
    "compile": "without torch.compile",
    "masks": "one mask a clip",
    "pairs": "all options, with the clip-level term",
    "peer": "AudioMAE's arrangement, bfloat16",
}


def measure(options: argparse.Namespace) -> None:
    """Measure one arm in this process and write its figures."""
    arm = options.child
    peer = arm == "peer"
    torch.manual_seed(options.seed)
    sizes = model_of_size(options.size, projection=128 if arm == "pairs" else 0)
    if peer:
        sizes = dataclasses.replace(sizes, decoded=1.0)
    loop = LoopSettings(
        batch=options.batch,
        precision="fp32" if arm == "bf16" else "bf16",
        compile=not peer and arm != "compile",
        seed=options.seed,
        threads=options.threads,
    )
    accelerator = make_accelerator(loop)
    if options.threads:
        torch.set_num_threads(options.threads)
    corpus = Corpus.open(options.corpus)
    task = MaskedTask(
        corpus,
        sizes,
        MaskSettings("spans", 0.7, 4),
        PairSettings(weight=0.3 if arm == "pairs" else 0.0),
        split=(np.arange(1, len(corpus)), np.arange(1)),
        batch=options.batch,
        seed=options.seed,
        pictures=None,
        masks=1 if peer or arm == "masks" else options.masks,
    )
    if peer:
        task.module = AudioMaeArrangement(sizes)
    elif arm == "sdpa":
        write_out_attention(task.module)
    optimizer = make_optimizer(task.module, loop)
    if peer or arm == "fused":
        groups = [
            {name: group[name] for name in ("params", "weight_decay")} for group in optimizer.param_groups
        ]
        optimizer = AdamW(groups, lr=loop.learning_rate, betas=(0.9, loop.beta2), fused=False)
    profile = profile_steps(task, loop, accelerator, options.steps, optimizer=optimizer)
    memory = torch.cuda.max_memory_allocated() if accelerator.device.type == "cuda" else 0
    figures = {
        "rate": profile.samples_per_second,
        "flops": profile.flops_per_second,
        "peak": profile.peak,
        "waiting": profile.seconds["waiting for data"] / sum(profile.seconds.values()),
        "gflop": profile.flops / options.batch / 1e9,
        "memory": memory,
    }
    Path(options.out).write_text(json.dumps(figures), encoding="utf-8")


def run_arm(arm: str, corpus: Path, options: argparse.Namespace) -> dict[str, float]:
    """Measure an arm in a new process."""
    out = corpus.parent / f"{arm}.json"
    words = [sys.executable, __file__, "--child", arm, "--corpus", str(corpus), "--out", str(out)]
    for name in ("size", "batch", "steps", "masks", "threads", "seed"):
        words += [f"--{name}", str(getattr(options, name))]
    hidden = {"CUDA_VISIBLE_DEVICES": ""} if options.device == "cpu" else {}
    subprocess.run(words, check=True, env={**os.environ, **hidden})
    figures: dict[str, float] = json.loads(out.read_text(encoding="utf-8"))
    return figures


def main() -> None:
    """Measure, and print a Markdown table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--size", default="base", help="named size of the model, default base")
    parser.add_argument("--batch", type=int, default=512, help="masked clips a step, default 512")
    parser.add_argument("--steps", type=int, default=50, help="steps on the clock, default 50")
    parser.add_argument("--masks", type=int, default=4, help="masks a clip, default 4")
    parser.add_argument("--arms", type=lambda text: text.split(","), default=list(ARMS), help="by commas")
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"), help="default cuda")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0 leaves torch's own")
    parser.add_argument("--seed", type=int, default=0, help="key of weights, order and masks, default 0")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--corpus", help=argparse.SUPPRESS)
    parser.add_argument("--out", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        measure(options)
        return
    if options.device == "cuda" and not torch.cuda.is_available():
        sys.exit("there is no GPU here; --device cpu checks the script.")
    with tempfile.TemporaryDirectory() as folder:
        corpus = Path(folder) / "corpus"
        write_noise_corpus(corpus, tracks=64, seconds=300 if options.device == "cuda" else 30)
        found = {arm: run_arm(arm, corpus, options) for arm in options.arms}
    first, peer = found.get("all"), found.get("peer")
    rows = [
        [
            ARMS[arm],
            f"{one['rate']:,.1f}",
            f"{one['rate'] / first['rate']:.2f}" if first else "–",
            f"{one['rate'] / peer['rate']:.1f}" if peer else "–",
            f"{one['flops'] / one['peak']:.1%} of {one['peak'] / 1e12:.3g}",
            f"{one['waiting']:.1%}",
            f"{one['memory'] / 1e9:.1f}" if one["memory"] else "–",
        ]
        for arm, one in found.items()
    ]
    if options.device == "cpu":
        print("On a CPU: a check of this script. No figure here is one of a GPU.\n")
    header = [f"{options.size}, batch {options.batch}", "clips/s", "of all", "times the peer"]
    print(markdown([*header, "share of the peak, TFLOP/s", "waiting for data", "GB"], rows))
    device = torch.cuda.get_device_name() if options.device == "cuda" else "the CPU"
    print(
        f"\n- device: {device}; {options.steps} steps, {options.masks} masks a clip, 155 tokens, 70 % masked (spans)"
    )
    print(conditions(options.seed))


if __name__ == "__main__":
    main()
