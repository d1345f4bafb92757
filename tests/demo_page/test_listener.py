from __future__ import annotations

from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq

from audiomae.demo_page.listener import list_for_listener


def test_a_listener_has_played_so_many_different_songs_however_often(tmp_path):
    plays = [("u1", "a")] * 5 + [("u1", "b")] * 2 + [("u1", "c")]
    users, tracks = zip(*plays, strict=True)
    pq.write_table(pa.table({"user_id": users, "track_id": tracks}), tmp_path / "interactions.parquet")
    pq.write_table(pa.table({"user_id": ["u1"], "age": [30]}), tmp_path / "users.parquet")
    silent = SimpleNamespace(recommend=lambda *_, **__: [SimpleNamespace(songs=[])])
    found = list_for_listener(silent, tmp_path, ["a", "b", "c"])
    assert found.about == "u1 (30 years old) has played 3 songs so far."
    assert found.played == ((0, 5), (1, 2), (2, 1))
