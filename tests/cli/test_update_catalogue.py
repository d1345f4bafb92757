from __future__ import annotations

import pytest

from audiomae.cli.update_catalogue import show
from audiomae.recommend.serving.updates import CatalogueUpdate


@pytest.mark.parametrize(
    ("update", "line"),
    [
        (
            CatalogueUpdate("rec/catalogue", "v00002", 5, 7, 2, 0),
            "2 songs added: rec/catalogue holds 7 songs",
        ),
        (CatalogueUpdate("c", "v00002", 5, 6, 1, 3), "1 song added (3 were there already): c holds 6 songs"),
        (
            CatalogueUpdate("c", "v00002", 5, 5, 4, 0),
            "4 songs replaced: c holds 5 songs now, version v00002.",
        ),
        (CatalogueUpdate("c", "v00002", 5, 4, 1, 0), "1 song removed"),
        (CatalogueUpdate("c", "v00002", 5, 5, 0, 2), "Nothing to do: all 2 songs are in c already"),
        (
            CatalogueUpdate("c", "v00002", 5, 5, 0, 0, 2),
            "Nothing to do: the 2 songs were removed from c already",
        ),
    ],
)
def test_a_change_is_one_sentence(capsys, update, line):
    assert show(update) is None
    shown = capsys.readouterr().out
    assert line in shown
    assert shown.count("\n") == 1
