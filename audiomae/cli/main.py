"""The command line: read a verb's settings, call its core, print what it returns.

Only the chosen verb's modules are imported, so `audiomae --help` answers at once.
"""

from __future__ import annotations

import atexit
import contextlib
import dataclasses
import errno
import io
import json
import keyword
import os
import signal
import sys
from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any, NoReturn

from audiomae.cli.pages import is_help, print_help, usage
from audiomae.doors import VERBS, core_of, make_parser, read_values
from audiomae.errors import AudiomaeError

__all__ = ["leave", "main", "start"]

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
"""Errors of a write to stdout that are no fault of the program."""


def read_settings(verb: str, arguments: list[str]) -> Any:
    """Return the settings of a verb, from its YAML files and arguments; unknown ones exit with 2.

    What stands on the command line wins over the files, wherever `--config` stands; of several files the later wins.
    """
    from audiomae.settings_text import as_text, takes_text

    parser = make_parser(verb, exit_on_error=True)
    flags = {f"--{action.dest}" for action in parser._actions if _is_flag(action)}
    texts = {f"--{action.dest}" for action in parser._actions if takes_text(action)}
    named = _files_first([underscored(word) for word in arguments])
    words, place = [], 0
    while place < len(named):
        word, after = named[place], named[place + 1] if place + 1 < len(named) else ""
        name, equals, value = word.partition("=")
        place += 1
        if name in texts and equals:
            word = f"{name}={as_text(value)}"
        elif word in texts and place < len(named) and not after.startswith("--"):
            word, place = f"{word}={as_text(after)}", place + 1
        elif word in flags and after not in ("true", "false"):
            word = f"{word}=true"
        words.append(word)
    return read_values(verb, parser, parser.parse_args(words))


def _files_first(words: list[str]) -> list[str]:
    """Return the words with every `--config FILE` in front of the others: what is read later wins."""
    files: list[str] = []
    rest: list[str] = []
    place = 0
    while place < len(words):
        width = 2 if words[place] == "--config" else 1
        is_file = width == 2 or words[place].startswith("--config=")
        (files if is_file else rest).extend(words[place : place + width])
        place += width
    return files + rest


def _is_flag(action: Any) -> bool:
    return getattr(action, "_typehint", None) is bool


def underscored(word: str) -> str:
    """Return `--split.cold-tracks=1` as `--split.cold_tracks=1`, and `--from` as `--from_`; other words stay.

    A setting named by a word of Python's own carries a line below behind it there.
    """
    if not word.startswith("--"):
        return word
    name, equals, value = word[2:].partition("=")
    return f"--{name.replace('-', '_')}{'_' * keyword.iskeyword(name)}{equals}{value}"


def run_verb(verb: str, arguments: list[str]) -> int:
    """Read the settings of one verb, run it and print what it returns."""
    from audiomae.cli.terminal import listen_to_notes

    if is_help(arguments):
        print_help(verb, every="all" in arguments)
        return 0
    as_json = "--json" in arguments
    arguments = [word for word in arguments if word != "--json"]
    settings = read_settings(verb, arguments)
    main = os.environ.get("RANK", "0") == "0"
    with listen_to_notes(main=main) as progress:
        result = core_of(verb)(settings, progress=progress)
    text = import_module(f"audiomae.cli.{verb.replace('-', '_')}")
    if main and not as_json:
        return int(text.show(result) or 0)
    if main:
        print(json.dumps(_as_json(result), indent=2, ensure_ascii=False))
    status = getattr(text, "status", None)
    return int(status(result)) if status else 0


def _as_json(value: Any) -> Any:
    """Return a result as JSON holds it: dataclasses and named tuples by their fields, NumPy's values, paths."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _as_json(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return _as_json(value._asdict())
    if isinstance(value, Mapping):
        return {str(name): _as_json(one) for name, one in value.items()}
    if isinstance(value, tuple | list):
        return [_as_json(one) for one in value]
    if hasattr(value, "tolist"):
        return value.tolist()
    return str(value) if isinstance(value, Path) else value


class Terminated(BaseException):
    """SIGTERM came; raised where the program is, so that temporary files go and locks end."""


def main(arguments: list[str] | None = None) -> int:
    """Run one verb; return the exit status.

    0 done, 1 the data is at fault, 2 usage, 130 interrupted, 141 nobody reads what it prints, 143 terminated.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)
    arguments = sys.argv[1:] if arguments is None else arguments
    verb = f"audiomae {arguments[0]}" if arguments and arguments[0] in VERBS else "audiomae"
    try:
        status = answer(arguments)
        if sys.stdout is not None:
            sys.stdout.flush()
        return status
    except AudiomaeError as error:
        if not error.told:
            rank = os.environ.get("RANK", "0")
            say(f"{verb}: {'' if rank == '0' else f'process {rank}: '}{error}")
        return error.exit_code
    except KeyboardInterrupt:
        say(f"\n{verb}: interrupted; the same command goes on from here.")
        return 130
    except Terminated:
        say(f"{verb}: terminated; the same command goes on from here.")
        return 143
    except BrokenPipeError:
        forget_stdout()
        return 141
    except OSError as error:
        if error.filename is not None or error.errno not in FULL:
            raise
        forget_stdout()
        say(f"{verb}: stdout: cannot write ({error.strerror}). Free some space, or write to another place.")
        return 1


def answer(arguments: list[str]) -> int:
    """Print the list of verbs or the version, or run a verb."""
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(usage())
        return 0 if arguments else 2
    if arguments[0] in ("-V", "--version"):
        print(f"audiomae {version('audiomae')}")
        return 0
    if arguments[0] not in VERBS:
        say(f"audiomae: no verb {arguments[0]!r}; there are {', '.join(VERBS)}.")
        return 2
    return run_verb(arguments[0], arguments[1:])


def say(line: str) -> None:
    """Print a line on stderr, if anybody reads it."""
    with contextlib.suppress(OSError):
        print(line, file=sys.stderr)


def forget_stdout() -> None:
    """Send what is still to be printed nowhere, so that the end of the process does not fail on it."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def end_on_sigterm() -> None:
    """Turn SIGTERM into an orderly end with 143, from the first import on; a second one ends at once.

    The training loop has a handler of its own while it steps; processes forked from this one have none.
    """

    def stop(*_: object) -> NoReturn:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        raise Terminated

    signal.signal(signal.SIGTERM, stop)
    os.register_at_fork(after_in_child=lambda: signal.signal(signal.SIGTERM, signal.SIG_DFL))


def start() -> NoReturn:
    """Run one verb and end the process with its exit status: what the `audiomae` command is."""
    try:
        end_on_sigterm()
        status = main()
    except Terminated:  # between two statements of `main`
        status = 143
    leave(status)


def leave(status: int) -> NoReturn:
    """End the process; one of several that trained together skips the interpreter's shutdown.

    Shutdown stops a thread of Gloo (the transport between CPU processes) that is just giving a tensor back to Python,
    within C++ code that must not be left this way, and the C++ runtime answers with SIGABRT: a finished training fails.
    """
    distributed = sys.modules.get("torch.distributed")
    if distributed is None or not distributed.is_available() or not distributed.is_initialized():
        sys.exit(status)
    if status == 0:
        distributed.destroy_process_group()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
