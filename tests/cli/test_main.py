"""The command line: what it lists, what it refuses, and what it leaves alone until it is needed."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from importlib.metadata import version
from typing import Any

import pytest

from audiomae.cli import prepare as prepare_text
from audiomae.cli.main import main, start
from audiomae.doors import VERBS, core_of, settings_of
from audiomae.errors import AudiomaeError, ConfigError, DataError
from audiomae.verbs import prepare as prepare_module


@pytest.fixture
def prepared(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The configs that `audiomae prepare` was run with, none of them carried out."""
    seen: list[Any] = []
    monkeypatch.setattr(prepare_module, "prepare", lambda settings, progress: seen.append(settings))  # noqa: ARG005
    monkeypatch.setattr(prepare_text, "show", lambda _: None)
    return seen


@pytest.mark.parametrize("word", ["--help", "-h", "help"])
def test_help_lists_every_verb_with_what_it_does(word, capsys):
    assert main([word]) == 0
    said = capsys.readouterr().out
    for name, verb in VERBS.items():
        assert f"  {name} " in said
        assert verb.help in said


@pytest.mark.parametrize("name", VERBS)
def test_a_verb_has_frozen_settings_and_a_function(name):
    settings = settings_of(name)
    assert dataclasses.is_dataclass(settings)
    assert settings.__dataclass_params__.frozen  # type: ignore[attr-defined]
    assert callable(core_of(name))
    fields = {field.name: field for field in dataclasses.fields(settings)}
    assert VERBS[name].positional is None or VERBS[name].positional in fields
    if VERBS[name].many:
        assert str(fields[VERBS[name].positional].type).startswith("tuple[str")


@pytest.mark.parametrize("name", VERBS)
def test_the_whole_help_of_a_verb_explains_every_setting(name, capsys):
    assert main([name, "--help", "all"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    settings = settings_of(name)
    for field in dataclasses.fields(settings):
        # Its first words stand in the class's docstring, and so in the help.
        told = [
            line
            for line in (settings.__doc__ or "").splitlines()
            if line.strip().startswith(f"{field.name}: ")
        ]
        assert told, f"{settings.__name__}.{field.name} is not explained"
        words = told[0].split(": ", 1)[1].split()[:4]
        # A group of settings, such as --train.batch, is explained one by one.
        group = dataclasses.is_dataclass(field.default_factory) or field.name == "tables"
        if not group:
            assert " ".join(words) in said, field.name


def test_the_first_help_of_a_verb_shows_an_example_its_words_and_its_main_settings(capsys):
    assert main(["similar", "--help"]) == 0
    said = capsys.readouterr().out
    assert "audiomae similar vectors/ --like one.flac" in said
    assert "Folder made by `audiomae export`" in said
    assert "--k K" in said
    assert "--raw" not in said
    assert "audiomae similar --help all" in said


def test_without_a_verb_the_help_is_shown_and_it_is_a_usage_error(capsys):
    assert main([]) == 2
    assert "usage: audiomae VERB" in capsys.readouterr().out


def test_an_unknown_verb_is_a_usage_error_that_names_the_known(capsys):
    assert main(["prepair", "songs/"]) == 2
    said = capsys.readouterr().err
    assert said == f"audiomae: no verb 'prepair'; there are {', '.join(VERBS)}.\n"


def test_the_version_is_that_of_the_package(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"audiomae {version('audiomae')}\n"


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["nonsense"]])
def test_answering_imports_nothing_heavy(arguments):
    script = (
        "import sys\n"
        "from audiomae.cli.main import main\n"
        f"main({arguments!r})\n"
        "heavy = {'torch', 'numpy', 'torchaudio', 'pyarrow', 'jsonargparse', 'accelerate', 'rich', 'yaml'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[-1] == "[]"


def test_importing_the_package_waits_for_the_model_until_it_is_asked_for():
    script = "import sys, audiomae; early = 'torch' in sys.modules; audiomae.load; print(early, 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout == "False True\n", done.stderr


def test_python_m_audiomae_passes_the_exit_status_on():
    done = subprocess.run([sys.executable, "-m", "audiomae", "nonsense"], capture_output=True, text=True)
    assert done.returncode == 2
    assert "no verb 'nonsense'" in done.stderr


def test_bare_words_are_the_songs(prepared):
    assert main(["prepare", "a b.flac", "more/", "--out", "c"]) == 0
    assert (prepared[0].songs, prepared[0].out) == (("a b.flac", "more/"), "c")


def test_songs_of_a_yaml_file_are_taken_when_no_words_are_given(prepared, tmp_path):
    path = tmp_path / "prepare.yaml"
    path.write_text("songs: [one.flac, two/]\nout: there\nmel: {mels: 64}\n")
    assert main(["prepare", "--config", str(path)]) == 0
    assert (prepared[0].songs, prepared[0].out, prepared[0].mel.mels) == (("one.flac", "two/"), "there", 64)


def test_words_and_options_outrank_the_yaml_file(prepared, tmp_path):
    path = tmp_path / "prepare.yaml"
    path.write_text("songs: [one.flac]\nout: there\nworkers: 3\n")
    assert (
        main(["prepare", "--config", str(path), "three.flac", "--out", "here", "--mel.hop_samples", "320"])
        == 0
    )
    config = prepared[0]
    assert (config.songs, config.out, config.workers) == (("three.flac",), "here", 3)
    assert config.mel.hop_samples == 320


@pytest.mark.parametrize("extra", ["colour: blue\n", "mel: {colour: blue}\n"])
def test_an_unknown_key_of_a_yaml_file_is_a_usage_error_that_names_it(prepared, tmp_path, capsys, extra):
    path = tmp_path / "prepare.yaml"
    path.write_text(f"songs: [one.flac]\n{extra}")
    with pytest.raises(SystemExit) as stopped:
        main(["prepare", "--config", str(path)])
    assert stopped.value.code == 2
    assert "colour" in capsys.readouterr().err
    assert prepared == []


def test_a_value_of_another_type_is_a_usage_error_that_names_the_setting(prepared, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["prepare", "one.flac", "--workers", "many"])
    assert stopped.value.code == 2
    assert "workers" in capsys.readouterr().err
    assert prepared == []


@pytest.mark.parametrize(("error", "status"), [(DataError, 1), (ConfigError, 2), (AudiomaeError, 1)])
def test_an_error_is_one_line_on_stderr_and_an_exit_status(monkeypatch, capsys, error, status):
    def refuse(_: object, progress: object) -> int:  # noqa: ARG001
        raise error("the song is missing. Name another.")

    monkeypatch.setattr(prepare_module, "prepare", refuse)
    assert main(["prepare", "one.flac"]) == status
    said = capsys.readouterr()
    assert said.err == "audiomae prepare: the song is missing. Name another.\n"
    assert said.out == ""


def test_an_interrupted_verb_says_how_to_go_on(monkeypatch, capsys):
    def interrupt(_: object, progress: object) -> int:  # noqa: ARG001
        raise KeyboardInterrupt

    monkeypatch.setattr(prepare_module, "prepare", interrupt)
    assert main(["prepare", "one.flac"]) == 130
    assert "interrupted; the same command goes on from here" in capsys.readouterr().err


def test_the_status_of_a_verb_is_the_status_of_the_command(monkeypatch):
    monkeypatch.setattr(prepare_module, "prepare", lambda _, progress: None)  # noqa: ARG005
    monkeypatch.setattr(prepare_text, "show", lambda _: 1)
    assert main(["prepare", "one.flac"]) == 1


def test_the_command_ends_with_the_status_of_its_verb(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["audiomae", "prepair"])
    with pytest.raises(SystemExit) as stopped:
        start()
    assert stopped.value.code == 2
