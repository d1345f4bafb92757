"""What people read is true: the README's Python runs, and every command shown has only settings that there are."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import audiomae
from audiomae.cli.main import underscored
from audiomae.doors import VERBS, make_parser

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "recipes").glob("*.md"))]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)


def commands(page: Path) -> list[tuple[str, list[str]]]:
    """Return the verbs that a page shows, with their words; lines that end in a backslash go on."""
    found = []
    for _, block in FENCE.findall(page.read_text(encoding="utf-8")):
        for line in block.replace("\\\n", " ").splitlines():
            match = re.search(r"(?:^|\s)audiomae (?=[a-z])(.*)$", line.split(" #")[0])
            if match:
                verb, *words = shlex.split(match[1].replace("…", ""))
                if verb in VERBS:
                    found.append((verb, words))
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_settings_in_shown_commands_exist(page):
    for verb, words in commands(page):
        parser = make_parser(verb)
        known = {option for action in parser._actions for option in action.option_strings} | {
            "--json",
            "--help",
        }
        for word in words:
            if word.startswith("--"):
                assert underscored(word).partition("=")[0] in known, f"{verb} {word}"


def test_commands_are_found_at_all():
    assert sum(len(commands(page)) for page in PAGES) >= 20


def test_the_five_lines_of_the_readme_run(small_songs, monkeypatch, tmp_path):
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (code,) = [block for language, block in FENCE.findall(text) if language == "python"]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "songs").symlink_to(small_songs)
    shown: dict[str, object] = {}
    exec(compile(code, "README.md", "exec"), shown)
    assert isinstance(shown["model"], audiomae.Embedder)


def test_the_python_of_the_vectors_page_runs_and_each_clip_finds_its_file(
    tones, tiny_model, monkeypatch, tmp_path
):
    """All of it but the vector database's, whose client is no dependency."""
    text = (ROOT / "docs" / "howto" / "use_vectors.md").read_text(encoding="utf-8")
    blocks = [block for language, block in FENCE.findall(text) if language == "python"]
    monkeypatch.chdir(tmp_path)
    audiomae.export(str(tiny_model), str(tones), out="vectors")
    shown: dict[str, Any] = {}
    run = [block for block in blocks if "qdrant" not in block]
    assert len(run) == len(blocks) - 1 == 4
    for block in run:
        exec(compile(block, "use_vectors.md", "exec"), shown)
    table, frame = shown["located"], shown["frame"]
    assert table.column_names == ["track_id", "clip_index", "start_seconds", "vector", "path"]
    paths = table["path"].to_pylist()
    assert {Path(path).resolve() for path in paths} == {path.resolve() for path in tones.iterdir()}
    embedded = audiomae.load(tiny_model).embed_files(paths)  # a song of 6 s is one clip
    assert np.allclose(np.stack(table["vector"].to_pylist()), embedded, atol=1e-4)
    assert frame["path"].tolist() == paths


@pytest.fixture
def small_songs(tones: Path, tmp_path: Path) -> Path:
    """A folder with the names that the README uses."""
    folder = tmp_path / "some"
    folder.mkdir()
    for name, tone in zip(("one.wav", "two.wav", "three.wav"), sorted(tones.glob("*.wav")), strict=False):
        (folder / name).write_bytes(tone.read_bytes())
    return folder
