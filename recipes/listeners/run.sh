#!/bin/sh
# The whole path from audio to lists: simulated listeners over real music, with tracks and artists nobody has played.
# usage: run.sh CORPUS VECTORS OUT     (from recipes/debian_games)
set -eu
corpus=$1 vectors=$2 out=$3
audiomae() { python -m audiomae "$@"; }
audiomae prepare-tables simulated "$corpus" --listeners.folders true --out "$out/tables"
audiomae prepare-tables mel_content "$corpus" --out "$out/mel"
train() {
    audiomae train-towers "$1" --tables.interactions "$out/tables/interactions.parquet" \
        --tables.users "$out/tables/users.parquet" --tables.tracks "$out/tables/tracks.parquet" \
        --split.cold_tracks 0.15 --split.cold_artists 0.1 --train.seed "$3" --out "$2"
}
for seed in 0 1 2; do
    train "$vectors" "$out/rec-$seed" $seed
    train "$out/mel/content.parquet" "$out/mel-$seed" $seed
done
audiomae train-ranker "$out/rec-0"
audiomae evaluate "$out/rec-0" "$out/rec-1" "$out/rec-2" --beside "[\"$out/mel-0,$out/mel-1,$out/mel-2\"]" \
    --content "$vectors" --out "$out/evaluation.json"
