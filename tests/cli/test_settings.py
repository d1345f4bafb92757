"""Settings as they are written: flags, ids, YAML."""

from __future__ import annotations

from itertools import pairwise

import pytest

from audiomae.cli.main import read_settings
from audiomae.doors import _settings as audiomae_settings
from audiomae.recommend.ids import read_ids


def test_flags_take_hyphens_as_well_as_underscores():
    with_hyphens = read_settings("prepare", ["songs/", "--shortest-seconds", "7", "--mel.hop-samples=320"])
    assert with_hyphens == read_settings(
        "prepare", ["songs/", "--shortest_seconds", "7", "--mel.hop_samples=320"]
    )
    assert with_hyphens.shortest_seconds == 7


def test_a_bare_flag_means_true():
    start = ["vectors", "--track", "a"]
    assert read_settings("similar", [*start, "--raw"]).raw is True
    assert read_settings("similar", [*start, "--raw", "false"]).raw is False
    assert read_settings("similar", ["vectors", "--raw", "--track", "a"]).track == "a"


@pytest.mark.parametrize("joined", [False, True])
def test_what_stands_on_the_command_line_wins_over_yaml_wherever_the_file_is_named(tmp_path, joined):
    (tmp_path / "a.yaml").write_text("vectors: from-a\ntrack: a\nk: 3\n")
    (tmp_path / "b.yaml").write_text("vectors: from-b\ntrack: b\n")
    one, two = (
        [f"--config={tmp_path / name}"] if joined else ["--config", str(tmp_path / name)]
        for name in ("a.yaml", "b.yaml")
    )
    for words in (["mine", *one], [*one, "mine"], [*one, "mine", *two]):
        assert read_settings("similar", words).vectors == "mine", words
    assert read_settings("similar", ["--k", "7", "mine", *one]).k == 7
    both = read_settings("similar", ["mine", *one, *two])
    assert (both.track, both.k) == ("b", 3)


IDS = [
    "null",
    "~",
    "[x]",
    "[x",
    "{a: b}",
    "007",
    "1e3",
    "true",
    '"a"',
    "#x",
    "&a",
    "*a",
    "- a",
    "-5",
    "a: b",
    "plain",
]


@pytest.mark.parametrize("name", IDS)
def test_an_id_stays_the_text_that_was_written(name):
    for words in ([f"--track={name}"], ["--track", name]):
        assert read_settings("similar", ["vectors", *words]).track == name
    assert read_settings("recommend", ["r", "--user", name]).user == name
    assert audiomae_settings("similar", ("v",), {"track": name}).track == name


def test_an_id_that_begins_with_a_bracket_is_one_of_several(capsys):
    settings = read_settings("recommend", ["r", "--liked", "[x], ~"])
    assert read_ids(settings.liked) == ["[x]", "~"]
    assert read_ids(read_settings("recommend", ["r", "--liked", '["a, b"]']).liked) == ["a, b"]
    assert capsys.readouterr() == ("", "")


def test_in_yaml_quoted_text_is_text_and_null_is_nothing(tmp_path):
    path = tmp_path / "similar.yaml"
    path.write_text('track: "null"\nfile: null\nmodel: ~\nk: 3\n')
    settings = read_settings("similar", ["v", "--config", str(path)])
    assert (settings.track, settings.file, settings.model, settings.k) == ("null", None, None, 3)


@pytest.mark.parametrize(
    "text",
    [
        "track: &a [*a]\n",
        "a: &a {b: *a}\n",
        "track: " + "[" * 100_000,
        "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
        + "".join(
            f"{name}: &{name} [{','.join([f'*{before}'] * 10)}]\n" for before, name in pairwise("abcdefghi")
        ),
    ],
)
def test_yaml_that_never_ends_is_a_usage_error(tmp_path, capsys, text):
    path = tmp_path / "similar.yaml"
    path.write_text(text)
    with pytest.raises(SystemExit) as stopped:
        read_settings("similar", ["v", "--track", "a", "--config", str(path)])
    assert stopped.value.code == 2
    said = " ".join(capsys.readouterr().err.split())
    assert (
        "nested too deep, or it repeats itself without end" in said
        or "exceeded maximum nesting depth" in said
    )
