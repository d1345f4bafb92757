"""What holds for every file of the package, beyond the layers that import-linter watches."""

from __future__ import annotations

import ast
import statistics
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FILES = {
    str(path.relative_to(ROOT)): ast.parse(path.read_text(encoding="utf-8"))
    for folder in ("audiomae", "data_prep")
    for path in sorted((ROOT / folder).rglob("*.py"))
}

LAZY = {"audiomae/__init__.py", "audiomae/cli/main.py", "audiomae/doors.py"}
"""The files that import late on purpose, so that the command line starts at once."""

OPTIONAL = {"ray", "faiss", "implicit", "lightgbm", "pandas", "uvicorn"}
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
    assert silent == ["audiomae/__main__.py", "audiomae/verbs/__init__.py"]


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
