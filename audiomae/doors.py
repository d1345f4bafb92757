"""The verbs by name, and how every door calls them: the same names, settings and defaults.

`call_verb("export", ("tiny", "songs/"), {"out": "vectors/"})` is `audiomae export tiny songs/ --out vectors/` and
`audiomae.export("tiny", "songs/", out="vectors/")`.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from audiomae.checks import close_to
from audiomae.errors import ConfigError
from audiomae.progress import SILENT, Progress

__all__ = [
    "VERBS",
    "Verb",
    "core_of",
    "make_door",
    "make_parser",
    "read_values",
    "settings_of",
]


class Verb(NamedTuple):
    """One word of the command line."""

    positional: str | None
    """Field of the settings that takes the words without a flag, if any."""
    many: bool
    """Whether it takes any number of them."""
    help: str
    """What it does, in one line."""


VERBS = {
    "prepare": Verb("songs", True, "songs → corpus: decode, resample, log-mel shards, tags"),
    "pretrain": Verb(None, False, "corpus → model: masked autoencoder on short clips"),
    "plan": Verb(None, False, "what one GPU, DDP and FSDP need, and which to use"),
    "consolidate": Verb("run", False, "checkpoint, whole or in shards → one model file"),
    "export": Verb("inputs", True, "model + corpus or files → vectors in Parquet"),
    "similar": Verb("vectors", False, "vectors → songs like these, paths, radio"),
    "duplicates": Verb(
        "vectors", False, "vectors → songs that are there again, encoded anew or cut a little"
    ),
    "probe": Verb("model", False, "model + labels → linear probe, kNN and retrieval scores"),
    "reconstruct": Verb("model", False, "model + song → original, masked, rebuilt: PNG and WAV"),
    "prepare-tables": Verb("inputs", True, "a data set of plays → Parquet tables"),
    "check-tables": Verb("interactions", False, "what is wrong in tables of plays"),
    "train-towers": Verb("content", False, "vectors + tables of plays → two towers"),
    "train-ranker": Verb("recommender", False, "two towers → the ranker of stage two"),
    "recommend": Verb("recommender", False, "a list of songs for users, known or new"),
    "explain": Verb("recommender", False, "why a song stands in a user's list"),
    "evaluate": Verb("recommenders", True, "recommenders beside baselines, on later plays"),
    "update-catalogue": Verb("recommender", False, "add, replace or remove songs without training again"),
    "watch": Verb("songs", False, "folder of songs → vectors that stay up to date as songs come and go"),
    "serve": Verb("vectors", False, "vectors, recommender, model, runs → an HTTP service and a page"),
    "demo": Verb("songs", True, "all of it on your songs, real or generated music, and a page to look at"),
}


def _module_name(verb: str) -> str:
    return verb.replace("-", "_")


def _home(verb: str) -> Any:
    """Return the module of a verb's core."""
    return import_module(f"audiomae.verbs.{_module_name(verb)}")


def core_of(verb: str) -> Callable[..., Any]:
    """Return the function of a verb."""
    core: Callable[..., Any] = getattr(_home(verb), _module_name(verb))
    return core


def settings_of(verb: str) -> type[Any]:
    """Return the settings class of a verb: TrainTowersSettings for train-towers."""
    name = f"{verb.title().replace('-', '')}Settings"
    found: type[Any] = getattr(_home(verb), name)
    return found


def make_parser(verb: str, **words: Any) -> Any:
    """Return the parser of a verb's settings, with every field described as its class does.

    Args:
        verb: Its name.
        words: Further arguments of jsonargparse's parser.
    """
    from jsonargparse import ArgumentParser  # a third of a second that `audiomae --help` does without

    from audiomae.settings_text import YAML_MODE, teach_yaml

    teach_yaml()
    about, chosen = VERBS[verb], settings_of(verb)
    words.setdefault("parser_mode", YAML_MODE)
    parser = ArgumentParser(prog=f"audiomae {verb}", description=about.help, **words)
    parser.add_argument("--config", action="config", help="YAML file with settings")
    described = ArgumentParser()
    described.add_class_arguments(chosen)
    helps = {action.dest: action.help for action in described._actions}
    if about.many:  # also a setting, so that a YAML file can hold it
        described_as = helps[about.positional or ""]
        parser.add_argument(
            f"words_{about.positional}",
            type=str,
            nargs="*",
            default=[],
            metavar=about.positional,
            help=described_as,
        )
        parser.add_class_arguments(chosen)
        return parser
    if about.positional:
        parser.add_argument(about.positional, type=str, help=helps[about.positional])
    parser.add_class_arguments(chosen, skip={about.positional} if about.positional else set())
    return parser


def read_values(verb: str, parser: Any, parsed: Any) -> Any:
    """Return the settings that a parser has read."""
    from audiomae.settings_text import without_marks

    about, chosen = VERBS[verb], settings_of(verb)
    read = vars(parser.instantiate(without_marks(parsed)))
    values = {field: value for field, value in read.items() if field in chosen.__dataclass_fields__}
    if words := read.get(f"words_{about.positional}"):
        values[about.positional or ""] = tuple(words)
    return chosen(**values)


def make_door(verb: str) -> Callable[..., Any]:
    """Return a verb as a Python function: `door(*words, **settings, progress=None)` → its result.

    Settings are those of the command line: `train={"batch": 64}` is `--train.batch 64`. `progress` is told how far the
    work is (`audiomae.progress.Progress`).

    Raises:
        ConfigError: If a setting is unknown or of a wrong type, or the values do not fit together.
    """
    core, chosen = core_of(verb), settings_of(verb)

    def door(*words: Any, progress: Progress = SILENT, **settings: Any) -> Any:
        return core(_settings(verb, words, settings), progress=progress)

    door.__name__ = door.__qualname__ = _module_name(verb)
    door.__doc__ = f"{inspect.getdoc(core)}\n\n{inspect.getdoc(chosen)}"
    parameters = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for parameter in inspect.signature(chosen).parameters.values()
        if parameter.name != VERBS[verb].positional
    ]
    first = []
    if name := VERBS[verb].positional:
        kind = (
            inspect.Parameter.VAR_POSITIONAL if VERBS[verb].many else inspect.Parameter.POSITIONAL_OR_KEYWORD
        )
        first = [inspect.Parameter(name, kind)]
    door.__signature__ = inspect.Signature([*first, *parameters])  # type: ignore[attr-defined]
    return door


def _settings(verb: str, words: tuple[Any, ...], given: Mapping[str, Any]) -> Any:
    """Return settings from Python values, read like those of a YAML file."""
    about, fields = VERBS[verb], settings_of(verb).__dataclass_fields__
    for name in given:
        if name not in fields:
            hint = close_to(name, fields, otherwise=f"There are {', '.join(fields)}.")
            raise ConfigError(f"{_module_name(verb)} has no setting {name!r}. {hint}")
    values = {name: _plain(value) for name, value in given.items()}
    if words:
        if about.positional is None or (len(words) > 1 and not about.many):
            most = 0 if about.positional is None else 1
            raise ConfigError(
                f"{_module_name(verb)} takes {most} value{'s' * (most != 1)} without a name, not {len(words)}; name "
                "the others: setting=value."
            )
        values[about.positional] = [str(word) for word in words] if about.many else str(words[0])
    elif about.positional in fields and about.positional not in values and not about.many:
        raise ConfigError(f"{_module_name(verb)} needs {about.positional}.")
    parser = make_parser(verb, exit_on_error=False)
    try:
        return read_values(verb, parser, parser.parse_object(values))
    except ConfigError:
        raise
    except Exception as error:  # noqa: BLE001 - jsonargparse raises several kinds; all say what is wrong
        cause = error.__cause__
        if isinstance(cause, ConfigError):
            raise cause from None
        raise ConfigError(f"{_module_name(verb)}: {' '.join(str(error).split())}") from None


def _plain(value: Any) -> Any:
    """Return a value as YAML would hold it."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, tuple | list):
        return [_plain(one) for one in value]
    if isinstance(value, Mapping):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, str):
        from audiomae.settings_text import as_text, reads_as_nothing

        return as_text(value) if reads_as_nothing(value) else value
    return value
