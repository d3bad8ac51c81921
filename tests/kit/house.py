"""The house as its files say: rooms, who imports whom, what is loaded late, what stands twice."""

import ast
import io
import keyword
import tokenize
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("atelier", "detectors", "training", "pipeline")
HEAVY = {"tensorflow", "torch", "torchvision", "keras", "cv2", "pandas", "pyarrow", "dask"}
HEAVY |= {"distributed", "jinja2", "scipy", "pytorch_fid", "tensorflow_hub", "wand"}
HEAVY |= {"tf2onnx", "onnx", "onnxruntime", "ai_edge_litert", "fsspec"}


class Import(NamedTuple):
    """One module of ours that another imports; `late` inside a function."""

    module: str
    target: str
    late: bool
    line: int


@cache
def modules() -> dict[str, Path]:
    """Every module of ours by its dotted name; a package's is that of its folder."""
    found = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(part for part in parts if part != "__init__")] = path
    return found


@cache
def tree(path: Path) -> ast.Module:
    """A file, parsed."""
    return ast.parse(path.read_text())


@cache
def trees() -> dict[str, ast.Module]:
    """Every module of ours, parsed."""
    return {module: tree(path) for module, path in modules().items()}


def named(node: ast.stmt) -> Iterator[str]:
    """The modules that an import statement names, as far as its words tell."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module:
        for alias in node.names:
            inner = f"{node.module}.{alias.name}"
            yield inner if inner in modules() else node.module


@cache
def statements(path: Path) -> list[tuple[ast.stmt, bool]]:
    """Every import of a file, and whether it is inside a function. Those for types are left out."""
    for_types = {
        inner
        for node in ast.walk(tree(path))
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    return [
        (node, node.col_offset > 0)
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Import | ast.ImportFrom) and node not in for_types
    ]


@cache
def imports() -> list[Import]:
    """Who imports whom among our modules."""
    return [
        Import(module, target, late, node.lineno)
        for module, path in modules().items()
        for node, late in statements(path)
        for target in named(node)
        if target.split(".")[0] in PACKAGES and target != module
    ]


@cache
def libraries(path: Path, late: bool = False) -> set[str]:
    """The top-level packages that a file imports when it is loaded, or, `late`, at any time."""
    return {
        name.split(".")[0]
        for node, inside in statements(path)
        if late or not inside
        for name in named(node)
    }


def room(module: str) -> str:
    """The entry of its package that a module lies in: pipeline.stages, training.loop."""
    return ".".join(module.split(".")[:2])


def arrows(package: str) -> dict[str, set[str]]:
    """Room -> the rooms of the same package that it imports."""
    found: dict[str, set[str]] = defaultdict(set)
    for each in imports():
        one, other = room(each.module), room(each.target)
        if one.startswith(f"{package}.") and other.startswith(f"{package}.") and one != other:
            found[one].add(other)
    return found


@cache
def loads_heavy(module: str) -> bool:
    """Whether importing a module loads a heavy library, by itself or by what it imports."""
    seen, waiting = set(), [module]
    while waiting:
        now = waiting.pop()
        if now in seen or now not in modules():
            continue
        seen.add(now)
        if libraries(modules()[now]) & HEAVY:
            return True
        waiting += [each.target for each in imports() if each.module == now and not each.late]
    return False


def floors(graph: dict[str, set[str]]) -> int:
    """The longest chain of arrows, counted in rooms."""

    @cache
    def height(node: str) -> int:
        return 1 + max((height(other) for other in graph.get(node, ())), default=0)

    return max(map(height, graph))


def shapes(path: Path) -> list[tuple[int, str]]:
    """(line number, shape) of every line that a function does; names and values are aside."""
    text = path.read_text()
    lines: dict[int, list[str]] = {
        number: []
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef)
        for statement in node.body
        if not is_said(statement)
        for number in range(statement.lineno, (statement.end_lineno or statement.lineno) + 1)
    }
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.start[0] in lines:
            lines[token.start[0]] += shape(token)
    found = ((number, " ".join(tokens)) for number, tokens in sorted(lines.items()))
    return [(number, said) for number, said in found if any(c.isalpha() for c in said)]


def is_said(statement: ast.stmt) -> bool:
    """Whether it is a docstring or an import: what does nothing."""
    constant = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    return constant or isinstance(statement, ast.Import | ast.ImportFrom)


def shape(token: tokenize.TokenInfo) -> list[str]:
    """A name, a value, or the word itself; nothing for white space and comments."""
    if token.type == tokenize.NAME:
        return [token.string if keyword.iskeyword(token.string) else "name"]
    if token.type in (tokenize.NUMBER, tokenize.STRING):
        return ["value"]
    return [token.string] if token.type == tokenize.OP else []
