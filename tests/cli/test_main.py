"""The command line: what it lists, what it refuses, and what it leaves alone until it is needed."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import textwrap
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from audiomae.cli import prepare as prepare_text
from audiomae.cli.main import main, read_settings, start
from audiomae.doors import VERBS, core_of, settings_of
from audiomae.doors import _settings as audiomae_settings
from audiomae.errors import AudiomaeError, ConfigError, DataError
from audiomae.recommend.ids import read_ids
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
    assert "audiomae similar vectors/ --track ID" in said
    assert "Folder made by `audiomae export`" in said
    assert "--k K" in said
    assert "--raw" not in said
    assert "audiomae similar --help all" in said


def test_flags_take_hyphens_as_well_as_underscores():
    with_hyphens = read_settings("prepare", ["songs/", "--shortest-seconds", "7", "--mel.hop-samples=320"])
    assert with_hyphens == read_settings(
        "prepare", ["songs/", "--shortest_seconds", "7", "--mel.hop_samples=320"]
    )
    assert with_hyphens.shortest_seconds == 7


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


def test_a_bare_flag_means_true():
    start = ["vectors", "--track", "a"]
    assert read_settings("similar", [*start, "--raw"]).raw is True
    assert read_settings("similar", [*start, "--raw", "false"]).raw is False
    assert read_settings("similar", ["vectors", "--raw", "--track", "a"]).track == "a"


@pytest.mark.parametrize("status", [0, 3])
def test_one_of_several_processes_ends_before_the_interpreter_is_torn_down(tmp_path, status):
    """There a thread of Gloo that gives a tensor back to Python would abort the process."""
    script = """
        import atexit, os, sys
        from torch import distributed
        from audiomae.cli.main import leave

        class TornDown:
            def __del__(self):
                os.abort()

        distributed.init_process_group("gloo", init_method=f"file://{sys.argv[1]}", rank=0, world_size=1)
        atexit.register(print, "atexit")
        kept = TornDown()
        print("said", end=" ")
        leave(int(sys.argv[2]))
    """
    command = [sys.executable, "-c", textwrap.dedent(script), str(tmp_path / "store"), str(status)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == status, done.stderr
    assert done.stdout == "said atexit\n"


def test_the_command_ends_with_the_status_of_its_verb(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["audiomae", "prepair"])
    with pytest.raises(SystemExit) as stopped:
        start()
    assert stopped.value.code == 2


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


def run(arguments: list[str], stdout: int) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "audiomae", *arguments]
    return subprocess.run(command, stdout=stdout, stderr=subprocess.PIPE, text=True, timeout=120)


@pytest.fixture
def plays(tmp_path):
    path = tmp_path / "plays.csv"
    path.write_text("user_id,track_id,timestamp\na,x,1\nb,y,2\n")
    return str(path)


SAYING = [["--help"], ["--version"], ["similar", "--help"], ["check-tables", "plays"]]
SAYING += [["check-tables", "plays", "--json"]]


@pytest.mark.parametrize("arguments", SAYING)
def test_a_closed_pipe_ends_in_silence(plays, arguments):
    reading, writing = os.pipe()
    os.close(reading)
    done = run([plays if word == "plays" else word for word in arguments], writing)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("arguments", SAYING)
def test_a_full_disk_under_stdout_is_one_line(plays, arguments):
    with Path("/dev/full").open("w") as full:
        done = run([plays if word == "plays" else word for word in arguments], full.fileno())
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.endswith(
        ": stdout: cannot write (No space left on device). Free some space, or write to another place."
    )


@pytest.mark.parametrize("where", ["run_verb", "find_spec"])
def test_sigterm_at_any_time_is_143_with_a_line_and_what_is_open_is_closed(where):
    script = f"""
        import os, signal, sys
        from audiomae.cli import main

        def under_way(*_):
            try:
                os.kill(os.getpid(), signal.SIGTERM)
                signal.pause()
            finally:
                print("closed")

        main.{where} = under_way
        sys.argv = ["audiomae", "similar", "v", "--track", "a"]
        main.start()
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 143
    assert done.stdout == "closed\n"
    assert done.stderr == "audiomae similar: terminated; the same command goes on from here.\n"


def test_processes_forked_from_the_command_end_on_sigterm_as_any_other():
    script = """
        import os, signal
        from audiomae.cli.main import end_on_sigterm
        end_on_sigterm()
        ready, say = os.pipe()
        child = os.fork()
        if not child:
            os.write(say, b"1")
            signal.pause()
        os.read(ready, 1)
        os.kill(child, signal.SIGTERM)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, timeout=60
    )
    assert (done.stdout, done.stderr) == ("-15\n", "")
