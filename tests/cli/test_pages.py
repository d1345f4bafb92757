"""The short help of every verb."""

from __future__ import annotations

from importlib import import_module

import pytest

from audiomae.cli.pages import print_help
from audiomae.doors import VERBS


@pytest.mark.parametrize("verb", VERBS)
def test_the_short_help_shows_an_example_and_each_main_setting_once(verb, capsys):
    text = import_module(f"audiomae.cli.{verb.replace('-', '_')}")
    print_help(verb, every=False)
    lines = capsys.readouterr().out.splitlines()
    assert any(text.EXAMPLE in line for line in lines)
    shown = [line.split()[0] for line in lines if line.startswith("  --")]
    assert shown == [f"--{name.removesuffix('_')}" for name in text.MAIN]
    assert VERBS[verb].positional not in text.MAIN
    assert lines[-1].endswith(f"more settings: audiomae {verb} --help all")
