"""The command line: a verb, its config class and its function; nothing else.

Only the chosen verb's module is imported, so `audiomae --help` answers at once.
"""

from __future__ import annotations

import atexit
import io
import os
import sys
from importlib import import_module
from types import ModuleType
from typing import Any, NamedTuple, NoReturn

from audiomae.errors import AudiomaeError

__all__ = ["leave", "main", "read_settings", "start"]


class Verb(NamedTuple):
    """One word of the command line."""

    config: str
    """Name of the frozen dataclass in the verb's module that holds the settings."""
    positional: str | None
    """Field of the config that takes the bare words, if any."""
    nargs: bool
    """Whether it takes any number of them."""
    help: str


VERBS = {
    "prepare": Verb(
        "PrepareSettings", "songs", True, "songs → corpus: decode, resample, log-mel shards, tags"
    ),
    "pretrain": Verb("PretrainSettings", None, False, "corpus → model: masked autoencoder on 5-second clips"),
    "plan": Verb("PlanSettings", None, False, "what one GPU, DDP and FSDP need, and which to use"),
    "consolidate": Verb(
        "ConsolidateSettings", "run", False, "checkpoint, whole or in shards → one model file"
    ),
    "export": Verb("ExportSettings", "inputs", True, "model + corpus or files → vectors in Parquet"),
    "similar": Verb("SimilarSettings", "vectors", False, "vectors → the most similar songs"),
    "probe": Verb("ProbeSettings", "model", False, "model + labels → linear probe, kNN and retrieval scores"),
    "reconstruct": Verb(
        "ReconstructSettings", "model", False, "model + song → original, blanked, rebuilt: PNG and WAV"
    ),
    "prepare-tables": Verb("PrepareTablesSettings", "inputs", True, "a listening data set → Parquet tables"),
    "check-tables": Verb(
        "CheckTablesSettings", "interactions", False, "what is wrong in tables of listening"
    ),
    "train-towers": Verb(
        "TrainTowersSettings", "content", False, "vectors + tables of listening → two towers"
    ),
    "train-ranker": Verb("TrainRankerSettings", "recommender", False, "two towers → the ranker of stage two"),
    "recommend": Verb("RecommendSettings", "recommender", False, "a list of songs for users, known or new"),
    "explain": Verb("ExplainSettings", "recommender", False, "why a song stands in a user's list"),
    "evaluate": Verb(
        "EvaluateSettings", "recommenders", True, "recommenders beside baselines, on later plays"
    ),
    "update-catalogue": Verb(
        "UpdateCatalogueSettings", "recommender", False, "add, replace or remove songs without training again"
    ),
    "demo": Verb(
        "DemoSettings",
        "songs",
        True,
        "all of it on your songs, real or generated music, in about ten minutes",
    ),
}


def module_of(name: str) -> ModuleType:
    """Return the module of a verb: train-towers lies in train_towers.py."""
    return import_module(f"audiomae.cli.{name.replace('-', '_')}")


def usage() -> str:
    """Return the page that `audiomae --help` prints."""
    lines = ["usage: audiomae VERB [...]      audiomae VERB --help for its settings", ""]
    lines += [f"  {name:<16} {verb.help}" for name, verb in VERBS.items()]
    lines += ["", "Any setting can stand in a YAML file: audiomae VERB --config file.yaml --setting value"]
    return "\n".join(lines)


def read_settings(name: str, arguments: list[str]) -> Any:
    """Return the config of a verb, from its YAML files and arguments; unknown keys exit with 2."""
    from jsonargparse import ArgumentParser

    verb = VERBS[name]
    config_class = getattr(module_of(name), verb.config)
    parser = ArgumentParser(prog=f"audiomae {name}", description=verb.help, exit_on_error=True)
    parser.add_argument("--config", action="config", help="YAML file with settings")
    words = f"bare_{verb.positional}"
    if verb.nargs:  # also a setting, so that a YAML file can hold it
        parser.add_argument(words, type=str, nargs="*", metavar=verb.positional)
        parser.add_class_arguments(config_class)
    else:
        if verb.positional:
            parser.add_argument(verb.positional, type=str)
        parser.add_class_arguments(config_class, skip={verb.positional} if verb.positional else set())
    flags = {f"--{field}" for field, kind in config_class.__annotations__.items() if kind == "bool"}
    following = [*arguments, ""][1:]
    arguments = [
        f"{word}=true" if word in flags and after not in ("true", "false") else word
        for word, after in zip(arguments, following, strict=True)
    ]
    settings = vars(parser.instantiate(parser.parse_args(arguments)))
    values = {field: value for field, value in settings.items() if field in config_class.__dataclass_fields__}
    if settings.get(words):
        values[verb.positional or ""] = tuple(settings[words])
    return config_class(**values)


def run_verb(name: str, arguments: list[str]) -> int:
    """Read the settings of one verb and run it."""
    config = read_settings(name, arguments)
    return int(getattr(module_of(name), name.replace("-", "_"))(config) or 0)


def main(arguments: list[str] | None = None) -> int:
    """Run one verb; return the exit status: 0 done, 1 the data is at fault, 2 usage, 130 interrupted."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)
    arguments = sys.argv[1:] if arguments is None else arguments
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(usage())
        return 0 if arguments else 2
    if arguments[0] in ("-V", "--version"):
        from importlib.metadata import version

        print(f"audiomae {version('audiomae')}")
        return 0
    name = arguments[0]
    if name not in VERBS:
        print(f"audiomae: no verb {name!r}; there are {', '.join(VERBS)}.", file=sys.stderr)
        return 2
    try:
        return run_verb(name, arguments[1:])
    except AudiomaeError as error:
        if not error.told:
            rank = os.environ.get("RANK", "0")
            print(f"audiomae {name}: {'' if rank == '0' else f'process {rank}: '}{error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print(f"\naudiomae {name}: interrupted; the same command goes on from here.", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


def start() -> NoReturn:
    """Run one verb and end the process with its exit status: what the `audiomae` command is."""
    leave(main())


def leave(status: int) -> NoReturn:
    """End the process; one of several that trained together leaves without the interpreter's tearing down.

    That stops a thread of Gloo (the transport between CPU processes) which is just giving a tensor back to Python, from
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
