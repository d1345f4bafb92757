"""The core of check-tables: problems as fields, and nothing printed."""

from __future__ import annotations

import audiomae
from audiomae.verbs.check_tables import CheckTablesSettings, check_tables


def test_problems_and_counts_are_fields_and_nothing_is_printed_or_raised(tmp_path, capsys):
    (tmp_path / "plays.csv").write_text("user_id,track_id,timestamp\na,x,1\na,x,1\nb,y,-1\n")
    found = check_tables(CheckTablesSettings(str(tmp_path / "plays.csv"), tracks=str(tmp_path / "none.csv")))
    assert (found.errors, found.warnings) == (2, 1)
    assert found.counts["interactions"] == 3
    assert [(one.column, one.error, one.count) for one in found.findings] == [
        ("timestamp", True, 1),
        ("user_id+track_id+timestamp", False, 1),
        ("", True, 1),
    ]
    assert found.findings[-1].line == f"{tmp_path}/none.csv: no such file. Check the spelling."
    assert audiomae.check_tables(tmp_path / "plays.csv").errors == 1
    assert capsys.readouterr() == ("", "")
