"""A user's history is the same in training, checking, ranking and serving, at the same moment."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
import torch

from audiomae.listening.tables import Interactions
from audiomae.recommend.catalogue.catalogue import Catalogue
from audiomae.recommend.serving.users import UserReader
from audiomae.recommend.towers.check import TowerCheck
from audiomae.recommend.towers.features import FeatureSettings, UserFeatures
from audiomae.recommend.towers.model import TowerModel
from audiomae.recommend.towers.negatives import NegativeSettings
from audiomae.recommend.towers.objective import ObjectiveSettings, make_towers
from audiomae.recommend.towers.settings import TowerSettings
from audiomae.recommend.towers.task import TowerTask

SHOWN = {"track_id_dropout": 0.0, "user_id_dropout": 0.0, "field_dropout": 0.0, "history_dropout": 0.0}


@pytest.mark.parametrize("timed", [True, False])
@pytest.mark.parametrize("longest", [3, 50])
def test_training_checking_ranking_and_serving_see_the_same_history(
    make_content, make_plays, tmp_path, timed, longest
):
    content = make_content([f"t{number:03d}" for number in range(40)])
    before = make_plays(content, users=8, share=0.9)
    if not timed:
        before = Interactions.build(
            before.user_ids, before.track_ids, before.users, before.tracks, None, before.weights
        )
    # Each user's next play, of a track that nobody had played, is what training predicts and the check looks for.
    users = np.arange(8)
    after = None if before.times is None else np.full(8, before.times.max() + 1)
    later = Interactions.build(before.user_ids, before.track_ids, users, 36 + users % 4, after)
    both = [np.concatenate([getattr(part, name) for part in (before, later)]) for name in ("users", "tracks")]
    times = None if after is None else np.concatenate([before.times, after])
    weights = np.concatenate([before.weights, later.weights])
    train = Interactions.build(before.user_ids, before.track_ids, *both, times, weights)

    settings = TowerSettings(dim=8, hidden=16, layers=2, longest=longest, **SHOWN)
    features = UserFeatures.fit(None, before.user_ids, FeatureSettings())
    encoded = features.encode([{"user_id": name} for name in before.user_ids])
    played = np.unique(before.tracks)
    ids = np.zeros(40, np.int64)
    ids[played] = np.arange(1, len(played) + 1)
    vectors = torch.from_numpy(content.vectors)
    towers = make_towers(features, vectors, len(played), settings, ObjectiveSettings(), 1, 0).eval()

    task = TowerTask(
        towers, vectors, train, encoded, ids, ObjectiveSettings(), NegativeSettings(extra=4), batch=8, seed=0
    )
    task.batch = len(task.examples)
    rows = task._rows(0)
    example = [int(np.flatnonzero(rows == np.flatnonzero(_of(task, user)).item()).item()) for user in users]
    drawn = task.draw(0, slice(0, task.batch)).users
    with torch.no_grad():
        in_training = towers.embed_users(task.user_inputs(drawn))[example].numpy()

    check = TowerCheck(before, later, encoded, ids)
    with torch.no_grad():
        in_checking = check._users(towers, users, vectors).numpy()

    model = TowerModel(towers, features, [content.track_ids[row] for row in played], {})
    catalogue = Catalogue.create(tmp_path / "catalogue", content, model, before)
    reader = UserReader(model, catalogue, before, pa.table({"user_id": before.user_ids}))
    served = reader.known(before.user_ids)

    np.testing.assert_allclose(in_checking, in_training, atol=1e-5)
    np.testing.assert_allclose(served.vectors, in_training, atol=1e-5)
    assert drawn.history is not None
    shown = [set(tracks[weights > 0].tolist()) for tracks, weights in zip(*drawn.history[:2], strict=True)]
    # What the ranker's features are made of.
    assert [set(one.recent.tolist()) for one in served.known] == [shown[place] for place in example]
    assert max(map(len, shown)) == 3 if longest == 3 else max(map(len, shown)) > 3


def _of(task: TowerTask, user: int) -> np.ndarray:
    """Where the training plays of a user are of a track that only the later plays have."""
    return (task.examples.users == user) & (task.examples.items >= 36)
