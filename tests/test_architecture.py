"""What holds for every file of the package, beyond the layers that import-linter watches."""

from __future__ import annotations

import ast
import json
import statistics
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FILES = {
    str(path.relative_to(ROOT)): ast.parse(path.read_text(encoding="utf-8"))
    for folder in ("audiomae", "data_prep")
    for path in sorted((ROOT / folder).rglob("*.py"))
}

LAZY = {"audiomae/__init__.py", "audiomae/cli/main.py", "audiomae/doors.py"}
"""The files that import late on purpose, so that the command line starts at once."""

OPTIONAL = {"ray", "faiss", "implicit", "lightgbm", "pandas", "sklearn", "umap", "uvicorn", "watchfiles"}
"""Heavy extras, imported where they are used."""

UNPICKLERS = {"pickle", "dill", "joblib", "cloudpickle", "shelve", "marshal"}

Import = ast.Import | ast.ImportFrom


def exported(tree: ast.Module) -> list[str]:
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(
            getattr(target, "id", "") == "__all__" for target in node.targets
        ):
            return list(ast.literal_eval(node.value))
    return []


def imports(tree: ast.AST) -> Iterator[Import]:
    return (node for node in ast.walk(tree) if isinstance(node, Import))


def roots(node: Import) -> set[str]:
    """First words of the modules that a line imports."""
    names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
    return {name.split(".")[0] for name in names}


def defined(tree: ast.Module) -> set[str]:
    """Names that the top level defines, or any import brings."""
    names = {alias.asname or alias.name for node in imports(tree) for alias in node.names}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        names |= {
            name.id for target in targets if target for name in ast.walk(target) if isinstance(name, ast.Name)
        }
    return names


def test_the_files_are_found():
    assert len(FILES) > 40
    assert "audiomae/cli/main.py" in FILES


def test_every_module_says_in_all_what_is_for_others():
    silent = [name for name, tree in FILES.items() if tree.body and not exported(tree)]
    assert silent == [
        "audiomae/__main__.py",
        "audiomae/atlas/__init__.py",
        "audiomae/serve/__init__.py",
        "audiomae/verbs/__init__.py",
    ]


FOR_PEOPLE = {
    "audiomae/doors.py": {"Verb", "settings_of"},  # what Python's door is made of, late
    "audiomae/hear.py": {"HearModel", "get_scene_embeddings", "get_timestamp_embeddings", "load_model"},
    # Started by name in other processes.
    "audiomae/serve/app.py": {"app_of_worker"},
    "audiomae/serve/decoding.py": {"decode_and_tell"},
    # What the public objects and the verbs return.
    "audiomae/model/embedder.py": {"FileVector"},
    "audiomae/vectors/vectors.py": {"ClipVector", "NamedVectors"},
    "audiomae/recommend/serving/explanations.py": {"FeaturePart", "HeardSong", "NamedSong", "Parts", "Score"},
    "audiomae/recommend/serving/songs.py": {"RecommendedSong"},
    "audiomae/similarity/explanation.py": {"Moment"},
    "audiomae/similarity/search.py": {"find_similar"},
    "audiomae/verbs/check_tables.py": {"TableProblem"},
    "audiomae/verbs/duplicates.py": {"DuplicateGroup", "DuplicateSong", "SongPair"},
    "audiomae/verbs/export.py": {"LeftOut"},
    "audiomae/verbs/similar.py": {"SimilarSong"},
    "audiomae/verbs/train_towers.py": {"TowerScores"},
}
"""Names that no module of ours takes, and people or other processes do."""


def reached_by_name(file: str) -> set[str]:
    """Names that a registry asks a module for: those of the verbs, and of the service's requests."""
    folder, stem = Path(file).parent.name, Path(file).stem
    if folder == "verbs":
        title = stem.title().replace("_", "")
        return {stem, f"{title}Settings", f"{title}Result"}
    if folder == "routers":
        return {"router"}
    return {"EXAMPLE", "MAIN", "show", "status"} if folder == "cli" else set()


def dotted(file: str) -> str:
    return file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def taken(tree: ast.AST) -> set[tuple[str, str]]:
    """Modules with the names that a file takes from them: `from m import n`, or `m.n` of a module imported whole."""
    pairs, whole = set(), {}
    for node in imports(tree):
        for alias in node.names:
            if isinstance(node, ast.ImportFrom):
                pairs.add((node.module or "", alias.name))
            name = f"{node.module}.{alias.name}" if isinstance(node, ast.ImportFrom) else alias.name
            whole[alias.asname or alias.name] = name
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and (module := whole.get(ast.unparse(node.value))):
            pairs.add((module, node.attr))
    return pairs


@cache
def all_taken() -> dict[str, set[tuple[str, str]]]:
    """What each file takes of the package: its own files, the benchmarks, the recipes' and the docs' notebooks."""
    trees = dict(FILES)
    for folder in ("benchmarks", "recipes"):
        trees |= {str(path): ast.parse(path.read_text()) for path in sorted((ROOT / folder).rglob("*.py"))}
    for path in sorted((ROOT / "docs").rglob("*.ipynb")):
        cells = [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]
        trees[str(path)] = ast.parse("\n".join("".join(cell["source"]) for cell in cells))
    return {name: taken(tree) for name, tree in trees.items()}


def taken_by_others(file: str) -> set[str]:
    """Names that any other file takes from this one."""
    pairs = set().union(*(pairs for name, pairs in all_taken().items() if name != file))
    return {name for module, name in pairs if module == dotted(file)}


def test_all_names_what_others_take_and_no_more():
    """A name that a file alone uses, or its tests, is for that file; what another takes stands in the list."""
    more, less = [], []
    for file, tree in FILES.items():
        if file == "audiomae/__init__.py":  # for people, all of it
            continue
        mine = taken_by_others(file)
        listed = set(exported(tree))
        more += [
            f"{file}: {name}" for name in listed - mine - FOR_PEOPLE.get(file, set()) - reached_by_name(file)
        ]
        less += [f"{file}: {name}" for name in (mine & defined(tree)) - listed]
    assert more == []
    assert less == []


def test_what_is_kept_for_people_is_there_and_taken_by_nobody_else():
    for file, names in FOR_PEOPLE.items():
        assert names <= set(exported(FILES[file])), file
        assert not names & taken_by_others(file), file


def test_all_names_what_is_there():
    for name, tree in FILES.items():
        if name not in LAZY:  # tests/test_doors.py asks for the names that come late
            assert set(exported(tree)) - defined(tree) == set(), name


def test_modules_take_from_each_other_nothing_private():
    taken = [
        f"{name}: {alias.name}"
        for name, tree in FILES.items()
        for node in imports(tree)
        if isinstance(node, ast.ImportFrom) and roots(node) <= {"audiomae", "data_prep"}
        for alias in node.names
        if alias.name.startswith("_")
    ]
    assert taken == []


def test_imports_stand_at_the_top():
    """A circle hidden by importing late would be a layer broken."""
    late = [
        f"{name}:{node.lineno}"
        for name, tree in FILES.items()
        if name not in LAZY
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef)
        for node in imports(function)
        if not roots(node) & OPTIONAL
    ]
    assert late == []


def test_nothing_that_lies_on_disk_is_unpickled():
    for name, tree in FILES.items():
        assert not any(roots(node) & UNPICKLERS for node in imports(tree)), name
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                assert called not in ("torch.load", "torch.save"), f"{name}:{node.lineno}"
                if called in ("np.load", "np.save"):
                    pickles = {word.arg: ast.unparse(word.value) for word in node.keywords}
                    assert pickles.get("allow_pickle") == "False", f"{name}:{node.lineno}"


def test_every_module_and_public_name_has_a_docstring():
    silent = []
    for name, tree in FILES.items():
        if tree.body and not ast.get_docstring(tree):
            silent.append(name)
        public = [
            node
            for node in tree.body
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name in exported(tree)
        ]
        silent += [f"{name}: {node.name}" for node in public if not ast.get_docstring(node)]
    assert silent == []


ALL_CODE = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for folder in ("audiomae", "data_prep", "tests", "benchmarks")
    for path in sorted((ROOT / folder).rglob("*.py"))
}


def test_a_file_is_short_enough_to_hold_one_idea():
    lengths = {name: len(text.splitlines()) for name, text in ALL_CODE.items()}
    assert {name: length for name, length in lengths.items() if length > 300} == {}
    assert statistics.median(length for length in lengths.values() if length) < 150


def test_a_function_is_short_enough_to_be_read_at_once():
    """Its complexity is ruff's to watch (C901)."""
    long = {
        f"{name}: {node.name}": node.end_lineno - node.lineno + 1
        for name, text in ALL_CODE.items()
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno is not None
        and node.end_lineno - node.lineno + 1 > 60
    }
    assert long == {}
