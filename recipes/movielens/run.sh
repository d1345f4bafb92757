#!/bin/sh
# MovieLens 100k: age, gender and occupation of users, genres as content, global time split.
# usage: run.sh ml-100k.zip OUT     (https://grouplens.org/datasets/movielens/100k/, or recbole's wheel)
set -eu
source=$1 out=$2
audiomae() { python -m audiomae "$@"; }
audiomae prepare-tables movielens "$source" --out "$out/tables"
for seed in 0 1 2; do
    audiomae train-towers "$out/tables/content.parquet" --tables.interactions "$out/tables/interactions.parquet" \
        --tables.users "$out/tables/users.parquet" --tables.tracks "$out/tables/tracks.parquet" \
        --features.columns '{"occupation": "categorical"}' --train.seed $seed --out "$out/rec-$seed"
done
audiomae train-ranker "$out/rec-0"
audiomae evaluate "$out/rec-0" "$out/rec-1" "$out/rec-2" --content "$out/tables/content.parquet" \
    --out "$out/evaluation.json"
