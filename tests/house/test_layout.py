"""The shape of the code base, so that it stays the shape that was agreed on."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAY_IMPORT = {"detectors": set(), "training": set(), "pipeline": {"detectors", "training"}}
KNOW_LUIGI = {"options.py", "stage.py", "tasks.py", "trainers.py", "cli.py"}
HEAVY = {"tensorflow", "torch", "cv2", "pandas", "pyarrow", "dask", "distributed", "torchvision"}
MODULES = sorted(path for package in MAY_IMPORT for path in (ROOT / package).rglob("*.py"))
OTHERS = sorted(path for name in ("tests", "benchmarks") for path in (ROOT / name).rglob("*.py"))
EMPTY_WORDS = {"utils", "util", "helpers", "helper", "common", "manager"}

every_module = pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
every_file = pytest.mark.parametrize(
    "path", MODULES + OTHERS, ids=lambda p: str(p.relative_to(ROOT))
)


def imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.split(".")[0]


@every_module
def test_imports_point_away_from_pipeline(path):
    package = path.relative_to(ROOT).parts[0]
    assert set(imports(path)) & set(MAY_IMPORT) <= MAY_IMPORT[package] | {package}


@every_module
def test_few_modules_know_luigi(path):
    assert path.name in KNOW_LUIGI or "luigi" not in set(imports(path))


@every_file
def test_files_stay_small(path):
    assert path.stem not in EMPTY_WORDS
    assert len(path.read_text().splitlines()) <= 400


@every_module
def test_functions_stay_small(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno - node.lineno < 60, node.name


@every_module
def test_modules_say_what_they_are_for(path):
    assert ast.get_docstring(ast.parse(path.read_text()))


def test_import_pipeline_loads_nothing_heavy():
    script = f"import pipeline, sys; print(sorted(set(sys.modules) & {HEAVY!r}))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout == "[]\n", done.stderr
