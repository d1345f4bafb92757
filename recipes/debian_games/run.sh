#!/bin/sh
# 18 h of game soundtracks from Debian packages: prepare, pretrain (85 minutes on two processes), export, probe.
# usage: recipes/debian_games/run.sh [FOLDER [LABELS.csv]]     results go to FOLDER, runs/debian_games by default
# What is there is kept: the same command goes on after an interruption.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-runs/debian_games}

audiomae prepare --config "$here/prepare.yaml" --songs_dir "$out/songs" --out "$out/corpus"
OMP_NUM_THREADS=1 torchrun --standalone --nproc_per_node 2 -m audiomae pretrain \
    --config "$here/pretrain.yaml" --corpus "$out/corpus" --out "$out/run"
audiomae export "$out/run" "$out/corpus" --whiten 512 --out "$out/vectors"
if [ -n "${2:-}" ]; then
    audiomae probe "$out/run" --labels "$2" --whitening "$out/vectors/whitening.safetensors" \
        --vectors_out "$out/clips.npz" --out "$out/probe.json"
fi
