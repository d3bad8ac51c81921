"""The shape of the code base, so that it stays the shape that was agreed on: docs/house.md."""

import ast
import builtins
import subprocess
import sys
from collections import defaultdict
from graphlib import TopologicalSorter

import pytest

from tests.kit import house
from tests.kit.house import HEAVY, PACKAGES, ROOT

# Who may import whom: each room those on the floors below its own, and nobody beside it.
FLOORS = {
    "atelier": [
        {"errors", "boxes", "stop", "svg", "cuda", "containers", "cores", "tiffs"},
        {"colours"},
        {"options", "files", "pictures", "names"},
        {"arrays", "commands", "listing", "tables"},
    ],
    "detectors": [
        {"base", "labelmap", "hub", "packaged"},
        {"kinds", "graphs", "annotations"},
        {"spec"},
        {"haar", "yunet", "whole", "tfod"},
        {"learning"},
    ],
    "training": [
        {"networks", "schedule", "sources", "features", "startup"},
        {"augment", "batches", "losses", "adam", "draws"},
        {"config", "sampler"},
        {"presets", "devices", "estimates", "state"},
        {"phases", "run"},
        {"exchange"},
        {"explore", "minibatch", "metrics"},
        {"loop", "deploy", "student"},
        {"cli"},
    ],
    "pipeline": [
        {"options", "rows", "sample"},
        {"photos", "engine", "sections"},
        {"stages", "dataset", "stage"},
        {"report", "review"},
        {"tasks"},
        {"train", "upkeep", "luigi_script"},
        {"cli"},
    ],
}
MAY_IMPORT = {
    "atelier": set(),
    "detectors": {"atelier"},
    "training": {"atelier"},
    "pipeline": {"atelier", "detectors", "training"},
}
KNOW_LUIGI = {"options", "stage", "tasks", "train.tasks", "luigi_script", "cli"}  # of pipeline
MOST = {"pipeline": (16, 8), "training": (26, 10), "detectors": (13, 8), "atelier": (17, 4)}
ENTRANCES = {"__main__"}
EVERY_COMMAND_HAS = {"main", "parser"}
EMPTY_WORDS = {"utils", "util", "helpers", "helper", "common", "manager"}
LINES, FUNCTION_LINES, EQUAL_LINES = 400, 60, 6

OTHERS = [
    path
    for name in ("tests", "benchmarks")
    for path in sorted((ROOT / name).rglob("*.py"))
    if path.name != "__init__.py"
]
FILES = [*house.modules().values(), *OTHERS]
every_package = pytest.mark.parametrize("package", PACKAGES)


def rooms(package):
    return {
        house.room(module)
        for module in house.modules()
        if "." in module and module.split(".")[0] == package
    } - {f"{package}.{name}" for name in ENTRANCES}


@every_package
def test_every_room_has_its_floor(package):
    planned = {f"{package}.{name}" for floor in FLOORS[package] for name in floor}
    assert rooms(package) <= planned


@pytest.mark.slow
@every_package
def test_imports_point_down(package):
    height = {
        f"{package}.{name}": number
        for number, floor in enumerate(FLOORS[package])
        for name in floor
    }
    upward = [
        (one, other)
        for one, others in house.arrows(package).items()
        for other in others
        if one in height and not height[other] < height[one]
    ]
    assert not upward


@pytest.mark.slow
@every_package
def test_few_entries_on_few_floors(package):
    entries, floors = MOST[package]
    assert len(rooms(package)) <= entries
    assert house.floors(house.arrows(package)) <= floors


def test_no_file_imports_itself_in_a_circle():
    graph = defaultdict(set)
    for each in house.imports():
        graph[each.module].add(each.target)
    TopologicalSorter(graph).prepare()  # raises CycleError


def test_packages_import_only_what_they_stand_on():
    beyond = [
        each
        for each in house.imports()
        if each.target.split(".")[0]
        not in MAY_IMPORT[each.module.split(".")[0]] | {each.module.split(".")[0]}
    ]
    assert not beyond


def test_the_ground_holds_what_two_packages_stand_on():
    importers = defaultdict(set)
    for each in house.imports():
        importers[each.target].add(each.module.split(".")[0])
    inside = {each.target for each in house.imports() if each.module.startswith("atelier.")}
    for module in house.modules():
        if module.startswith("atelier.") and module not in inside:
            assert len(importers[module] - {"atelier"}) >= 2, module


def test_only_what_is_heavy_is_imported_late():
    late = [each for each in house.imports() if each.late]
    assert [each for each in late if not house.loads_heavy(each.target)] == []
    for module, path in house.modules().items():
        others = house.libraries(path, late=True) - house.libraries(path) - HEAVY - set(PACKAGES)
        assert others <= {"google"}, module  # protobuf's messages come with TensorFlow


def test_few_modules_know_luigi():
    known = {
        module
        for module, path in house.modules().items()
        if "luigi" in house.libraries(path, late=True)
    }
    assert {module.removeprefix("pipeline.") for module in known} <= KNOW_LUIGI


@pytest.mark.parametrize("package", ["atelier", "training"])
def test_torch_is_in_one_room(package):
    for module, path in house.modules().items():
        if module.split(".")[0] == package and not module.startswith("training.features."):
            assert not house.libraries(path, late=True) & {"torch", "torchvision", "pytorch_fid"}


def test_the_room_of_torch_imports_nothing_for_its_guests():
    assert house.libraries(house.modules()["training.features"]) == set()


@pytest.mark.slow
def test_nothing_stands_in_two_packages():
    seen = defaultdict(list)
    for module, path in house.modules().items():
        lines = house.shapes(path)
        for at in range(len(lines) - EQUAL_LINES + 1):
            window = tuple(said for _, said in lines[at : at + EQUAL_LINES])
            seen[window].append((module, lines[at][0]))
    twice = [
        places for places in seen.values() if len({name.split(".")[0] for name, _ in places}) > 1
    ]
    assert twice == []


def test_files_stay_small():
    assert [path for path in FILES if path.stem in EMPTY_WORDS] == []
    assert [path for path in FILES if len(path.read_text().splitlines()) > LINES] == []


@pytest.mark.slow
def test_functions_stay_small():
    long = [
        (module, node.name)
        for module, tree in house.trees().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.end_lineno - node.lineno >= FUNCTION_LINES
    ]
    assert long == []


def test_modules_say_what_they_are_for():
    assert [name for name, tree in house.trees().items() if not ast.get_docstring(tree)] == []


@pytest.mark.slow
def test_import_pipeline_loads_nothing_heavy():
    script = f"import pipeline, sys; print(sorted(set(sys.modules) & {HEAVY!r}))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout == "[]\n", done.stderr


@every_package
def test_the_packages_that_run_are_ours(package):
    assert __import__(package).__file__ == str(ROOT / package / "__init__.py")


def test_every_folder_of_tests_is_a_package():
    folders = {path.parent for path in (ROOT / "tests").rglob("*.py")}
    assert [folder for folder in sorted(folders) if not (folder / "__init__.py").is_file()] == []


def test_a_name_that_three_modules_share_takes_its_noun():
    modules = defaultdict(list)
    for module, tree in house.trees().items():
        for node in tree.body:
            if isinstance(node, ast.FunctionDef) and node.name not in EVERY_COMMAND_HAS:
                modules[node.name].append(module)
    assert {name: found for name, found in modules.items() if len(found) > 2} == {}


@pytest.mark.slow
def test_nothing_temporary_stands_beside_results_but_what_is_swept():
    """What a killed process left under a name of `files.passing` goes; no other name says so."""
    beside = [
        (module, node.lineno)
        for module, tree in house.trees().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and ast.unparse(node.func).endswith(("TemporaryDirectory", "NamedTemporaryFile", "mkdtemp"))
        and any(given.arg == "dir" for given in node.keywords)
    ]
    assert beside == []


IN_WORDS = {"words_of", "reason_in"}


@pytest.mark.slow
def test_no_sentence_says_the_systems_number():
    """What an OSError says is told by a function that leaves its [Errno 2] out."""
    kinds = {name for name, kind in vars(builtins).items() if is_system(kind)}
    bare = []
    for module, tree in house.trees().items():
        for caught in ast.walk(tree):
            if not isinstance(caught, ast.ExceptHandler) or caught.name is None:
                continue
            if kinds & {each.id for each in ast.walk(caught.type) if isinstance(each, ast.Name)}:
                bare += [(module, line) for line in told_bare(caught.body, caught.name)]
    assert bare == []


def is_system(kind):
    return isinstance(kind, type) and issubclass(kind, OSError)


def told_bare(body, name):
    """Lines that put an error of this name into a text as it is."""
    waiting = list(body)
    while waiting:
        node = waiting.pop()
        words = getattr(node, "value", None) if isinstance(node, ast.FormattedValue) else None
        if isinstance(node, ast.Call):
            if ast.unparse(node.func).rpartition(".")[2] in IN_WORDS:
                continue
            words = node.args[0] if ast.unparse(node.func) == "str" else None
        if isinstance(words, ast.Name) and words.id == name:
            yield node.lineno
        waiting += ast.iter_child_nodes(node)


OF_OUR_CHILDREN = {"training.deploy.bench", "training.deploy.export", "training.features.frames"}


def test_json_is_read_where_whatever_is_none_is_a_value_error():
    read = {name for name, path in house.modules().items() if "json.loads(" in path.read_text()}
    assert read - OF_OUR_CHILDREN == {"atelier.files"}
