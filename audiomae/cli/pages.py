"""The pages that `--help` prints: the verbs; a verb's main settings with an example; all of its settings."""

from __future__ import annotations

import textwrap
from importlib import import_module
from typing import Any

from audiomae.doors import VERBS, make_parser

__all__ = ["is_help", "print_help", "usage"]


def usage() -> str:
    """Return the page that `audiomae --help` prints."""
    lines = ["usage: audiomae VERB [...]      audiomae VERB --help for its settings", ""]
    lines += [f"  {name:<16} {verb.help}" for name, verb in VERBS.items()]
    lines += ["", "Any setting can stand in a YAML file: audiomae VERB --config file.yaml --setting value"]
    lines += ["--json prints the result as JSON instead of text."]
    return "\n".join(lines)


def is_help(arguments: list[str]) -> bool:
    """Return whether a verb is asked for its settings: `--help` or `-h`, and `all` behind it for every one."""
    return any(word in ("-h", "--help") for word in arguments)


def print_help(verb: str, *, every: bool) -> None:
    """Print the settings of a verb: those that matter first with an example, or every one."""
    parser = make_parser(verb)
    text = import_module(f"audiomae.cli.{verb.replace('-', '_')}")
    if every:
        parser.print_help()
        return
    about = VERBS[verb]
    words = f" {about.positional}{' ...' if about.many else ''}" if about.positional else ""
    lines = [
        f"usage: audiomae {verb}{words} [--setting value ...]",
        "",
        about.help,
        "",
        f"  {text.EXAMPLE}",
        "",
    ]
    words_of = {about.positional, f"words_{about.positional}"}
    shown = {action.dest: action for action in parser._actions if action.option_strings}
    bare = [action for action in parser._actions if action.dest in words_of and not action.option_strings]
    for action in [*bare, *(shown[name] for name in text.MAIN)]:
        lines += _described(action)
    lines += ["", f"{len(shown) - len(text.MAIN)} more settings: audiomae {verb} --help all"]
    print("\n".join(lines))


def _described(action: Any) -> list[str]:
    """Return the lines about one setting: its flag, what it is, and its default."""
    name = f"--{action.dest.removesuffix('_')}" if action.option_strings else action.metavar or action.dest
    if action.option_strings and getattr(action, "_typehint", None) is not bool:
        kinds = action.metavar or action.dest.split(".")[-1].upper()
        name += f" {kinds.lower() if kinds.startswith('{') else kinds}"
    said = " ".join((action.help or "").split()).replace("%%", "%")
    if action.option_strings and action.default not in (None, "", ()):
        said += f" (default: {action.default})"
    lines = textwrap.wrap(said, 86)
    first = f"  {name:<21} "
    if len(name) > 21:
        return [first.rstrip(), *(" " * 24 + line for line in lines)]
    return [first + lines[0], *(" " * 24 + line for line in lines[1:])]
