"""Which tracks are trained on and which are held out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audiomae.audio.mel import MelSettings
from audiomae.corpus.clips import (
    hold_out_tracks,
    split_corpus,
)
from audiomae.errors import DataError

CLIP = 496


def test_held_out_tracks_and_the_others_are_all_the_tracks():
    names = [f"song-{number}" for number in range(200)]
    train, held = hold_out_tracks(names, 0.05)
    assert len(held) == 10
    assert np.array_equal(np.sort(np.concatenate([train, held])), np.arange(200))


@given(count=st.integers(2, 60), share=st.floats(0.001, 0.999))
@settings(max_examples=40, deadline=None)
def test_each_side_of_the_split_has_a_track(count, share):
    train, held = hold_out_tracks([f"song-{number}" for number in range(count)], share)
    assert len(train) >= 1
    assert len(held) >= 1
    assert not set(train.tolist()) & set(held.tolist())
    assert len(train) + len(held) == count


def test_a_single_track_is_trained_on_and_judged():
    train, held = hold_out_tracks(["song"], 0.05)
    assert (train.tolist(), held.tolist()) == ([0], [0])


def test_no_track_is_refused():
    with pytest.raises(DataError, match="the corpus holds 0 tracks"):
        hold_out_tracks([], 0.05)


def test_the_split_follows_the_ids_and_hardly_moves_when_songs_are_added():
    names = [f"song-{number}" for number in range(400)]
    held = {names[index] for index in hold_out_tracks(names, 0.1)[1]}
    turned = names[::-1]
    assert {turned[index] for index in hold_out_tracks(turned, 0.1)[1]} == held
    more = names + [f"new-{number}" for number in range(40)]
    now = {more[index] for index in hold_out_tracks(more, 0.1)[1]}
    # 44 of 440 are held out now; a split drawn anew would keep a tenth of the old 40.
    assert len(held & now) >= 35


def corpus_of(*frames: int) -> Any:
    ids = [f"song-{number}" for number in range(len(frames))]
    return FakeCorpus(np.array(frames, np.int64), ids)


class FakeCorpus:
    folder, mel = Path("nowhere"), MelSettings()

    def __init__(self, frames: np.ndarray, track_ids: list[str]) -> None:
        self.frames, self.track_ids = frames, track_ids

    def __len__(self) -> int:
        return len(self.frames)


def test_where_every_track_holds_a_clip_all_are_split_as_their_ids_say(caplog):
    corpus = corpus_of(*range(CLIP, CLIP + 50))
    train, held = split_corpus(corpus, CLIP, 0.1)
    assert [train.tolist(), held.tolist()] == [one.tolist() for one in hold_out_tracks(corpus.track_ids, 0.1)]
    assert not caplog.records


def test_tracks_shorter_than_a_clip_are_left_out_with_a_word(caplog):
    train, held = split_corpus(corpus_of(600, 991, 992, 5000, 100, 2000), 992, 0.3)
    assert sorted([*train.tolist(), *held.tolist()]) == [2, 3, 5]
    (record,) = caplog.records
    assert "3 of 6 tracks are shorter than a clip (9.92 s) and are left out" in record.message


def test_a_corpus_of_short_tracks_alone_is_refused():
    with pytest.raises(
        DataError, match=r"longest track has 6\.00 s; a clip takes 9\.92 s\. .*clip_frames below 992"
    ):
        split_corpus(corpus_of(600, 500), 992, 0.3)
    with pytest.raises(DataError, match="the corpus holds 0 tracks"):
        split_corpus(corpus_of(), CLIP, 0.3)
