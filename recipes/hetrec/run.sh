#!/bin/sh
# HetRec Last.fm 2k: artists, weighted by plays, no times, so a seeded split of each user's artists.
# usage: run.sh hetrec2011-lastfm-2k.zip OUT     (https://grouplens.org/datasets/hetrec-2011/)
set -eu
source=$1 out=$2
audiomae() { python -m audiomae "$@"; }
audiomae prepare-tables hetrec "$source" --out "$out/tables"
for seed in 0 1 2; do
    audiomae train-towers "$out/tables/content.parquet" --tables.interactions "$out/tables/interactions.parquet" \
        --tables.tracks "$out/tables/tracks.parquet" --split.kind per_user --train.seed $seed --out "$out/rec-$seed"
done
audiomae train-ranker "$out/rec-0"
audiomae evaluate "$out/rec-0" "$out/rec-1" "$out/rec-2" --content "$out/tables/content.parquet" \
    --out "$out/evaluation.json"
