from __future__ import annotations

import numpy as np
import pytest

from audiomae.errors import ConfigError
from audiomae.similarity.explanation import explain_similarity


def test_the_seconds_that_match_are_named(build):
    rng = np.random.default_rng(3)
    shared = rng.standard_normal(16)
    songs = {f"song-{number}": rng.standard_normal((6, 16)) for number in range(8)}
    songs["song-0"][4] = shared
    songs["song-1"][1] = shared + 0.01
    why = explain_similarity(build(songs), "song-0", "song-1")
    assert (why.moments[0].start_seconds, why.moments[0].other_start_seconds) == (20.0, 5.0)
    assert why.moments[0].cosine > 0.99
    assert len({moment.start_seconds for moment in why.moments}) == 3


def test_the_factor_that_makes_two_songs_alike_comes_first(orchestra):
    why = explain_similarity(orchestra, "bells-00", "drums-02")  # another group, the same rhythm
    assert {share.factor for share in why.factors} == {"learned", "timbre", "rhythm", "harmony"}
    shares = {share.factor: share for share in why.factors}
    assert shares["rhythm"].cosine == pytest.approx(1, abs=1e-5)
    assert shares["rhythm"].nearer_than > shares["learned"].nearer_than
    assert why.cosine == shares["learned"].cosine


def test_a_song_is_not_explained_by_itself(orchestra):
    with pytest.raises(ConfigError, match="same song"):
        explain_similarity(orchestra, "bells-00", "bells-00")
